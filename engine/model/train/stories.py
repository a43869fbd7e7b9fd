"""The grammar of robot stories: plots, and how a plot becomes text.

A template holds alternatives as [this|that|other], nested as one likes, and
slots as {name}. All slots of one story come from one cast, so that names,
pronouns and things agree from the first sentence to the last.
"""

import random
import re

import words

INNERMOST = re.compile(r"\[([^\[\]]*)\]")

OPENINGS = (
    "Once upon a time, {a_robot} lived {where}.", "{There} was once {a_robot}.", "There once was {a_trait} robot named {R}. {He} lived {where}.",
    "{R} was {a_trait} robot {look}. {He} lived {where}.", "[Far away,|Not long ago,|Long ago,|One year,] {a_robot} lived {where}.",
    "{R} was a robot, and {he} lived {where}.", "Everyone {where} knew {R}, the {trait} robot.",
)
DETAILS = ("{detail}, and [life was simple|every day was a new adventure|{R} loved it there|there was always something to do].",
           "{detail}, and {R} [liked to listen|felt at home|never wanted to leave].", "", "")
HABITS = ("Every [day|morning|evening], {R} {did} [near|not far from|beside] {spot}.", "[Most of all|More than anything], {he} loved {doing}.",
          "{R} had one great joy: {doing}.", "{His} job was simple. {R} {did} from [dawn to dusk|Monday to Sunday|morning to night].")
MEETINGS = ("{His} best friend was {friend}.", "{He} often spent time with {friend}.", "One of {his} neighbors was {friend}.")

PLOTS = {
    "lost": (
        "{open} {detail_line} {habit} {meet}",
        "[One morning|One day|One rainy afternoon], {R} could not find {his} {tool}. {He} looked [under the table|behind the door|in every box], but it was [gone|not there]. "
        "[Without it, {he} could not {do}.|{R} felt [sad|lost|worried].|\"I am nothing without my {tool},\" {he} said.]",
        "{F} [saw|heard] that something was wrong. \"[Do not worry|Do not be sad|Cheer up], {R},\" {fhe} said. \"[We will find it together|Two can search better than one|Let us look for it].\" "
        "They [searched|looked] at {spot} and then at {spot2}. [They asked everyone they met.|The sun was already low.|Nobody had seen it.]",
        "[At last|Finally|Just before dark], {F} [pointed|laughed and pointed] at {spot3}. There was the {tool}! [A bird had made a nest around it.|The wind had carried it there.|Somebody had cleaned it and left it with a kind note.|A little child had used it as a toy boat.]",
        "{R} [thanked {F} with all {his} heart|hugged {F} very carefully|was so happy that {his} lights blinked]. {well}. {close}",
    ),
    "broken": (
        "{open} {habit} {meet}",
        "[One day|One cold morning|One evening], {his} {part} stopped working. [It made a strange noise and would not {part_does}.|There was a loud crack, and it would not {part_does}.] "
        "{R} sat down [near|beside] {spot} and [sighed|waited|did not know what to do]. \"[Perhaps I am too old|Perhaps nobody can fix me|What will I do now],\" {he} [said|thought].",
        "Then {F} came by. {Fhe} looked at the {part} [for a long time|with great care]. \"I have an idea,\" {fhe} said. {Fhe} [ran|hurried] to {spot2} and came back with {mend}.",
        "They worked [all afternoon|until the stars came out|for hours]. [Twice it failed|At first it did not fit|It was not easy], but {F} did not give up. [Then there was a soft click|At last something hummed], and {R} could move again. \"[It is even better than before|You fixed me|I feel like new]!\" {he} [cried|said].",
        "From then on, {R} [had a {part} that was not like any other|looked a little different], and {he} [was proud of it|liked it that way]. {moral} {close}",
    ),
    "lonely": (
        "{open} {detail_line} {R} {did} every day, but {he} [had no friends|was always alone|had nobody to talk to].",
        "[People walked past and did not look at {him}.|In the evening {he} watched the lights in the windows.|{He} talked to the moon, but the moon did not answer.] [{R} wondered if anyone would ever stop.|\"Will I always be alone?\" {he} asked.|{His} battery was full, but {his} heart felt empty.]",
        "[One day|One morning|Then, one spring day], {friend} [stopped|sat down] beside {him} at {spot}. \"What are you doing?\" asked {F}. \"I am {doing},\" said {R} [quietly|in a small voice|shyly]. \"[Can you teach me|May I help|Can I stay and watch]?\"",
        "{R} [was so surprised that {his} eyes blinked|did not know what to say|nodded at once]. [At first it did not go well.|They began the same day.] {wrong}, and they both laughed. But [day after day|slowly|little by little], they learned from each other. {well}.",
        "Now {R} was never alone. {F} came [every day|after lunch|when the sun rose], and they talked about [everything|the world|rain and stars]. {moral} {close}",
    ),
    "storm": (
        "{open} {detail_line} {habit}",
        "[One night|One winter night|One autumn evening], a [great|terrible|wild] storm came. The wind [howled|roared], and all the lights went out. [Everyone was afraid.|Nobody knew what to do.|People hid in their homes.]",
        "{R} [heard|suddenly heard] a [cry|voice] from {spot}. It was {friend}. \"Help! I cannot find my way home!\" {fhe} called. {R} was [afraid too|only a {trait} robot], but {he} turned {his} lamp as bright as {he} could and went out into the rain.",
        "[Step by step|Slowly], {he} went past {spot2}. [The ground was wet and slippery.|The wind pushed {him} back again and again.|{His} wheels sank into the mud.] \"[Follow my light|Hold my hand|Stay close to me]!\" {he} called. {F} [held on tight|followed the light], and together they reached [a safe place|a warm house|home].",
        "In the morning the sky was [blue|clear] again. [Everyone thanked {R}|The people cheered for {R}|All of them wanted to shake {his} hand]. \"You were [so brave|our light in the dark|the best lamp of all],\" said {F}. {close}",
    ),
    "contest": (
        "{open} {meet}",
        "[One day|In spring|One summer], there was a [great|big] contest at {spot}. Everybody wanted to win the golden cup. {R} [wanted to try too|wrote {his} name on the list], because {he} loved {doing}. \"[A robot cannot {do}|Robots do not {do}],\" [people said|somebody laughed].",
        "{R} practiced [every night|for many days|from morning to night]. {wrong}. {wrong2}. {He} wanted to [give up|stop|go home]. But {F} said, \"[Do not try to be perfect|Just try once more|Do it your own way]. [Do it with joy|Think of something you love|I believe in you].\"",
        "On the day of the contest, {R} [was very nervous|took {his} {tool} and went to the stage|rolled slowly to the front]. {He} looked at {F} and began. [Everything went quiet.|The crowd held its breath.] {well}.",
        "{R} [did not win the cup, but everyone clapped the longest for {him}|won the golden cup and gave it to {F}|won second prize and was very happy]. \"[That was wonderful|I knew you could do it|You did it your own way],\" said {F}. {moral} {close}",
    ),
    "learn": (
        "{open} {detail_line}",
        "{R} had a [dream|secret wish]. {He} wanted to {do}. [But nobody had ever taught {him}.|But {his} hands were made for heavy work.|But {he} did not know how to begin.] [In a dusty corner|One day, at {spot}], {he} found an old {tool}. [It was just what {he} needed.|{He} picked it up and smiled.]",
        "{He} tried at once. {wrong}. {He} tried again. {wrong2}. \"[This is harder than it looks|I will never learn it|Why is this so hard],\" said {R}.",
        "{friend_cap} [was watching|had seen everything]. \"[Nobody is good at the start|Every master was once a beginner|You have to make mistakes to learn],\" said {F}. So {R} [went on|kept trying|did not give up], a little every day. [Weeks passed.|A whole month went by.|The days grew longer.]",
        "Then, [one morning|one quiet evening], [it worked|everything was different]. {well}. {R} [laughed with joy|could hardly believe it|beeped with delight]. The first {thing} was for {F}. {moral} {close}",
    ),
    "fear": (
        "{open} {meet} {habit}",
        "{R} was good at many things, but {he} had a secret: {he} was afraid of {fear}. {He} never told anyone, [not even {F}|because {he} thought that robots must not be afraid].",
        "[One evening|One day], {R} and {F} were at {spot}. Suddenly {fear_event}. {F} [was in trouble|slipped and could not get up|was stuck] near {spot2}, and there was nobody else to help. {R} [trembled|shook from head to toe|felt {his} gears grow cold].",
        "\"I am afraid,\" said {R}, \"but {F} needs me.\" {He} counted to three and [went|rolled forward]. [Step after step|Slowly, very slowly], {he} came closer. Then {he} [reached out {his} arm|took {F} by the hand] and pulled {fhim} to safety.",
        "\"[You are the bravest robot I know|Thank you, {R}|You saved me],\" said {F}. \"[No|Not at all],\" said {R}, \"I was afraid the whole time.\" {F} smiled. \"That is what it means to be brave.\" {close}",
    ),
    "old": (
        "{open} {R} had [worked hard|been part of the place|helped the people there] for many, many years. {habit}",
        "But one day a new machine came. It was [fast|shiny|bright] and never [made a mistake|needed any rest]. \"We do not need {R} any more,\" [said the people|said the owner]. So {R} [went away quietly|was put beside {spot}|packed {his} {tool} and left].",
        "[The days were long.|Dust fell on {his} shoulders.|{He} listened to the clock.] Then {friend} came to {spot2}. \"Why are you so sad?\" asked {F}. \"Nobody needs an old robot,\" said {R}. {F} thought for a moment. \"I do,\" {fhe} said. \"Can you show me how to {do}?\"",
        "So {R} began to teach. [{He} knew every little trick.|{He} was patient and kind.|No machine could have done it better.] {well}. Soon others came to learn as well, [first two, then ten|big and small|from near and far].",
        "The new machine was still fast, but it could not [tell a joke|listen|laugh]. {R} could. {moral} {close}",
    ),
    "find": (
        "{open} {habit}",
        "[One morning|One day|On the first day of spring], {R} found {find} near {spot}. [It was half hidden in the grass.|It was covered with dust.|Nobody knew where it came from.] \"[What are you|Where do you come from|Who left you here]?\" {he} [asked|wondered].",
        "{He} took it to {friend}. {F} looked at it [closely|with wide eyes]. \"[I have never seen anything like it|This is something special|We must be careful with it],\" {fhe} said. They carried it to {spot2} and [kept it warm|watched it day and night|waited].",
        "[For three days nothing happened.|A week passed, and nothing happened.|People laughed at them.] But {R} was patient. Then, [in the middle of the night|early in the morning|all at once], something happened: {found}. [{F} clapped {fhis} hands.|{R} blinked with joy.|They could not believe their eyes.]",
        "[The news spread quickly.|Soon everyone heard of it.] People came [from everywhere|from far away] to see it. {R} [told them all how it began|was happy to share it|smiled at each of them]. {moral} {close}",
    ),
    "gift": (
        "{open} {meet} {habit}",
        "Soon it was {F}'s birthday, and {R} wanted to give {fhim} [something special|the best gift in the world]. But {he} had no money, only {his} {tool}. {R} thought [all night|for three days|very hard].",
        "Then {he} had an idea. {He} would make {a_thing} [with {his} own hands|all by {himself}]. {He} worked in secret at {spot}. {wrong}, but {R} [started again|did not mind|only smiled].",
        "On the birthday, {R} was [nervous|excited]. \"It is not much,\" {he} said, \"but [I made it for you|it comes from my heart].\" {F} looked at the {thing} and [could not speak|smiled from ear to ear|was quiet for a moment]. {well}.",
        "\"It is the best gift I ever got,\" said {F}. They [sat together|talked and laughed] at {spot2} until [the moon rose|it was late|the first stars came out]. {close}",
    ),
}

MORALS = ("", "", "{R} had learned that [it is good to ask for help|friends make every problem smaller|small steps lead far|a mistake is only a beginning].",
          "\"[Together we can do anything|We make a good team|That is what friends are for],\" said {F}.",
          "Sometimes the [smallest|quietest] robot can make the biggest difference.")
CLOSES = ("And that night, {R} [slept|rested] with a smile.", "And {R} and {F} [lived happily ever after|were friends for the rest of their days|never forgot that day].",
          "From that day on, {R} and {F} were the best of friends.", "{R} looked up at the sky and was happy.",
          "And if you go there today, you can still [see|meet] {R} and {F}.", "It was the best day of {his} life.", "The end.",
          "And {R} knew that {he} was home.")


def a(noun):
    """noun with its indefinite article."""
    return ("an " if noun[0].lower() in "aeiou" else "a ") + noun


def upper_first(text):
    return text[:1].upper() + text[1:]


class Story:
    """One story: its cast, and its paragraphs."""

    def __init__(self, rng, **fixed):
        self.rng = rng
        self.plot = fixed.get("plot") or rng.choice(sorted(PLOTS))
        self.name, pronouns = fixed.get("robot") or rng.choice(words.ROBOTS)
        self.trait = fixed.get("trait") or ("old" if self.plot == "old" else "lonely" if self.plot == "lonely" else rng.choice(words.TRAITS))
        self.friend = fixed.get("friend") or rng.choice(words.FRIENDS)
        self.place = rng.choice(words.PLACES)
        self.craft = rng.choice(words.CRAFTS)
        does, did, do, doing, tool, thing, wrongs, wells = self.craft
        where, spots, detail = self.place
        spots = rng.sample(spots, 3)
        wrong, wrong2 = rng.sample(wrongs, 2)
        part, part_does, mend = rng.choice(words.PARTS)
        fear, event = rng.choice(words.FEARS)
        find, found = rng.choice(words.FINDS)
        he, him, his = pronouns
        fhe, fhim, fhis = self.friend[2]
        slots = {
            "R": self.name, "he": he, "him": him, "his": his, "He": upper_first(he), "His": upper_first(his),
            "himself": {"he": "himself", "she": "herself", "it": "itself"}[he],
            "F": self.friend[1], "fhe": fhe, "fhim": fhim, "fhis": fhis, "Fhe": upper_first(fhe),
            "friend": self.friend[0], "friend_cap": upper_first(self.friend[0]),
            "trait": self.trait, "a_trait": a(self.trait), "where": where, "There": upper_first(where),
            "detail": detail, "spot": spots[0], "spot2": spots[1], "spot3": spots[2],
            "did": did, "do": do, "doing": doing, "tool": tool, "thing": thing, "a_thing": a(thing),
            "wrong": wrong, "wrong2": wrong2, "well": rng.choice(wells),
            "part": part, "part_does": part_does, "mend": mend, "fear": fear, "fear_event": event, "find": find, "found": found,
        }
        look = rng.choice(words.LOOKS).format(**slots)
        slots["look"] = look
        slots["a_robot"] = f"{a(self.trait)} robot named {self.name}" if rng.random() < 0.6 else f"a robot named {self.name} {look}"
        for slot, choices in (("open", OPENINGS), ("detail_line", DETAILS), ("habit", HABITS), ("meet", MEETINGS), ("moral", MORALS), ("close", CLOSES)):
            slots[slot] = self.expand(rng.choice(choices), slots)
        self.text = "\n\n".join(tidy(self.expand(p, slots)) for p in PLOTS[self.plot])

    def expand(self, template, slots):
        while True:
            chosen = INNERMOST.sub(lambda m: self.rng.choice(m.group(1).split("|")), template)
            if chosen == template:
                return template.format(**slots)
            template = chosen


def tidy(paragraph):
    """Closes the gaps that empty parts leave, and writes questions as such."""
    text = re.sub(r" +", " ", paragraph).strip()
    return re.sub(r"\"(What will I do now|Why is this so hard),\"", r'"\1?"', text)


if __name__ == "__main__":
    demo = random.Random(1)
    for plot in sorted(PLOTS):
        print(f"--- {plot}\n{Story(demo, plot=plot).text}\n")
