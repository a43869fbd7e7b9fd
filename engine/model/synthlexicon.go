package model

import (
	"iter"
	"strings"
)

// Frequent pieces of English and of program text, most frequent first. They decide how
// well real text is cut; everything after them fills the vocabulary.
const (
	lexiconPairs = "th he in er an re on at en nd ti es or te ed is it al ar st to nt ng se ha as ou io le ve co me de hi " +
		"ri ro ic ne ea ra ce li ch ll be ma si om ur ss ee tt ff oo pe el la ta ca il ge ho us no mo wa wi di tr ly so"

	lexiconWords = "the of and to in a is that for it was on with as be by at are this from you or an have not but his they which one " +
		"we he all there can were her she had my has been their if will more when would who what so about up out them some " +
		"time into only could new then no other than its do these two may first any like our over such your man me even most " +
		"made after also did many must before back see through way where get much go well us now long little down own day " +
		"should because each just those people how too good very make world still work life state year years never being " +
		"under while last might great old off come since against right take used states himself few house use during without " +
		"again place around however home small found went say part once general high upon school every does got united left " +
		"number course war until always away something fact water though less public put think almost hand enough far took " +
		"head yet better set told nothing night end called system find going look asked later knew point next city business " +
		"give group toward days young let room side possible large point given face order early second often why word thing " +
		"kind door line name woman story robot city short write read answer question number text file code data test list " +
		"assistant system tool value string function return error result type class import package const var true false null none self print " +
		"input output model token time key index count size page table memory cache request response server client " +
		"user message call run start stop open close change build check option default example note object method array " +
		"int float bool char byte void public private static include define struct else case switch break continue try " +
		"catch throw delete async await yield lambda def begin range len append map filter " +
		"language machine measure benchmark compare result speed fast slow agent fleet suite round sample memory processor " +
		"device kernel thread process stream event queue batch step layer head weight position context length width height " +
		"matrix vector product sum mean median limit bound rate second minute hour day week month percent million thousand " +
		"people child children man men woman women person family friend father mother brother sister teacher student doctor " +
		"country nation law court power force control policy right free money price cost pay bank market company industry " +
		"product service project plan report paper book page letter list table chart picture music art history science " +
		"nature animal plant tree flower river sea mountain island road street bridge building wall roof floor room window " +
		"garden field farm food bread milk tea coffee wine fire earth air wind rain snow sun moon star sky light dark black " +
		"white red green blue yellow brown gold silver iron stone wood glass paper cloth body eye ear mouth nose arm leg foot " +
		"heart blood mind soul voice sound noise word sentence story tale poem song dream hope love hate fear joy anger pain " +
		"think feel see hear say tell speak talk ask answer call cry laugh smile sing dance play walk run jump fly swim drive " +
		"ride carry bring send receive buy sell break build cut draw eat drink sleep wake wash clean open close push pull " +
		"throw catch hold keep lose win fight kill die born grow learn teach remember forget understand believe mean happen " +
		"become begin finish continue follow lead move stay leave arrive enter return wait wish want need seem appear " +
		"different same important simple hard easy strong weak heavy quick slow early late near far deep wide narrow thick " +
		"thin full empty rich poor clear sure ready able common special general public private local national social " +
		"political economic human natural physical modern ancient whole single double first second third last final main " +
		"evidence machines measures language example between within across along among behind below beside beyond despite " +
		"during except inside outside onto over since through toward under until upon without whether although because"

	lexiconEndings = "ing ed ly tion ment ness able er est ity ive al ous ism ist ize ise ful less ship hood ward wise ant ent ance ence " +
		"ary ory ical ally ation ations 's 't 're 've 'm 'll 'd ings ers ies ied ier iest ment ments tions sion sions ure ures age ages ble ibly " +
		"ably ate ates ated ating ator ify ified ish en ened ening ous ously uous ious iously logy graphy meter phone scope " +
		"under over inter trans super micro multi auto anti counter fore mis non out post pre pro re semi sub un up"

	lexiconMarks = `. , ; : ! ? ) ( ] [ } { " ' - -- --- ... => -> <- == != <= >= += -= *= /= && || :: ++ // /* */ # ## ### #### ** *** () (); ); }; {} [] ` +
		`"> "/> </ /> <! --> .. ... ): ); }, }) }); ], ]) '); "); ", ": "," ':' '," [' ["  (" (' ._ __ ___ ____ ________ ________________ == === ====== ================ ` +
		`---- -------- ---------------- ~~~ ~~~~ \\ \" % %% $ ${ $( @ & &# .( .[ =" =' =[ ={ =( != ?? ?. ?: !( ![ ...)`
)

// Parts of syllables. Their products spell most English syllables, and a good many that
// English could have.
const (
	lexiconOnsets = "b c d f g h j k l m n p qu r s t v w y z bl br ch cl cr dr fl fr gl gr pl pr sc sh sk sl sm sn sp st str sw th tr tw wh"
	lexiconVowels = "a e i o u y ai ea ee ou oo"
	lexiconCodas  = "b c ck d f g k l ll m n nd ng nt p r rd rn rs rt s ss st t th v x ce ge le ne re se te ve"
)

// lexiconScripts is ranges of characters outside ASCII that get a token each, first and
// last of a range. Latin comes first; the Chinese, Japanese and Korean ones are most of them.
func lexiconScripts() [][2]rune {
	return [][2]rune{
		{0x2010, 0x2027}, {0x2030, 0x205e}, // dashes, quotation marks
		{0xa1, 0x17f},                                                  // Latin with diacritics
		{0x391, 0x3c9}, {0x400, 0x45f}, {0x5d0, 0x5ea}, {0x621, 0x64a}, // Greek, Cyrillic, Hebrew, Arabic
		{0x905, 0x939}, {0xe01, 0xe3a}, // Devanagari, Thai
		{0x3001, 0x3011}, {0xff01, 0xff5e}, {0x3041, 0x3093}, {0x30a1, 0x30fc}, // kana and wide forms
		{0x2190, 0x21ff}, {0x2200, 0x22ff}, {0x2500, 0x257f}, {0x2580, 0x25ff}, // arrows, mathematics, boxes
		{0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, // pictures
		{0x4e00, 0x9fa5}, {0xac00, 0xd7a3}, // Chinese characters, Korean syllables
	}
}

// lexicon yields what a vocabulary should have, the most useful first, without end. Each
// is one word in the sense of the pre-tokenizer (see synthPattern), so that merges can
// reach it. What is invented, from where the lists end, follows from seed.
func lexicon(seed uint64) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, part := range []iter.Seq[string]{frequent(), syllables(), scripts(), invented(seed)} {
			for s := range part {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// frequent is the lists, in the forms that text has them in.
func frequent() iter.Seq[string] {
	return func(yield func(string) bool) {
		var all []string
		all = append(all, strings.Fields(lexiconPairs)...)
		words, marks := strings.Fields(lexiconWords), strings.Fields(lexiconMarks)
		all = append(all, spaced(words)...)
		all = append(all, marks...)
		all = append(all, strings.Fields(lexiconEndings)...)
		for n := 2; n <= 64; n++ { // indentation
			all = append(all, strings.Repeat(" ", n))
		}
		for n := 1; n <= 8; n++ {
			all = append(all, strings.Repeat("\n", n), strings.Repeat("\t", n))
		}
		all = append(all, words...)
		all = append(all, titled(words)...)
		all = append(all, spaced(titled(words))...)
		for _, ending := range []string{"s", "ed", "ing", "er", "ly", "d", "es"} {
			for _, w := range spaced(words) {
				all = append(all, w+ending)
			}
		}
		for c := 'A'; c <= 'Z'; c++ { // abbreviations
			all = append(all, " "+string(c))
			for d := 'A'; d <= 'Z'; d++ {
				all = append(all, string(c)+string(d))
			}
		}
		all = append(all, spaced(marks)...)
		for _, s := range all {
			if !yield(s) {
				return
			}
		}
	}
}

// syllables are open ones first, then closed ones.
func syllables() iter.Seq[string] {
	return func(yield func(string) bool) {
		vowels, codas := strings.Fields(lexiconVowels), append([]string{""}, strings.Fields(lexiconCodas)...)
		for _, coda := range codas {
			for _, onset := range append(strings.Fields(lexiconOnsets), "") {
				for _, vowel := range vowels {
					s := onset + vowel + coda
					if !yield(s) || !yield(" "+s) {
						return
					}
				}
			}
		}
	}
}

func scripts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, r := range lexiconScripts() {
			for c := r[0]; c <= r[1]; c++ {
				if !yield(string(c)) {
					return
				}
			}
		}
	}
}

// invented words have two or three syllables, as most words of a large vocabulary do.
func invented(seed uint64) iter.Seq[string] {
	return func(yield func(string) bool) {
		onsets, vowels, codas := strings.Fields(lexiconOnsets), strings.Fields(lexiconVowels), strings.Fields(lexiconCodas)
		key := streamKey(seed, "tokenizer")
		for i := uint64(1); ; i++ {
			x := splitMix(key, i)
			draw := func(list []string) string {
				s := list[x%64%uint64(len(list))]
				x >>= 6
				return s
			}
			word := " " + draw(onsets) + draw(vowels[:5]) + draw(onsets[:20]) + draw(vowels[:5])
			if x&1 == 1 {
				word += draw(onsets[:20]) + draw(vowels)
			}
			if x&2 == 2 {
				word += draw(codas)
			}
			if !yield(word) {
				return
			}
		}
	}
}

func spaced(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = " " + w
	}
	return out
}

func titled(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return out
}
