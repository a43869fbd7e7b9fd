"""Texts that tokenizers get wrong."""

import random

FIXED = [
    "", " ", "  ", "   a", "a ", "a  b", "a   b    c", "\n", "\n\n", "\r\n", "a\r\nb\r\n\r\nc", "\t", "\t\tx", " \n ", "a \n b", "a\n \nb", "x\u00a0y", "\u3000", "a\u2003b", "\u2028\u2029",
    "Hello, world!", "hello", "Hello", "HELLO", "hElLo", "Write a short story about a robot.", "write a short story about a robot", " Write a short story about a robot.",
    "The robot's name isn't Bolt; they'll say it's we've I'm you'd THEY'RE DON'T", "'s 't 'RE 'Ve", "’s don’t “quoted” – dash — long … end",
    "0", "7", "42", "1234567890", "3.14159", "1,000,000.00", "-1e-10", "0x1F", "1st 2nd 3rd", "٣٤٥", "१२३", "Ⅷ ½ ²", "２０２６",
    "def f(x):\n    return x ** 2  # square\n", "if (a && b) { c++; }\n\treturn;\n", "<html><body class=\"x\">&amp;</body></html>", "SELECT * FROM t WHERE a='b';", "{\"k\": [1, null, true]}",
    "a_b-c.d/e\\f", "https://example.org/a?b=c&d=%20#e", "me@example.org", "#hashtag @name $x %y ^z", "!!!???...", "!!!\n\n", "...\r\n", "-----", "=====", "~~~`", "(((", ")))]]}}",
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_start|>user\nHi<|im_end|>\n", "a<|im_end|>b", "a <|im_end|> b", "<|im_end|><|im_end|>", "<|im_end", "|im_end|>", "<|im_ end|>", "<|IM_END|>",
    "< |im_end|>", "<<|im_end|>>", "\n<|endoftext|>\n", "<|endoftext|>Once upon a time", "<|fim_prefix|>", "<s></s>[INST]",
    "\u00e9", "e\u0301", "caf\u00e9 cafe\u0301", "\u212b \u00c5 A\u030a", "\u1e9b\u0323", "o\u0308\u0304", "q\u0307\u0323", "q\u0323\u0307", "\ufb01\ufb03", "\uac00 \u1100\u1161", "\u0958 \u0915\u093c", "Z\u0351\u036b\u0343a\u0310l\u0366g\u0300o\u0301",
    "\u0301", " \u0301a", "a\u0327\u0301b", "\u2126 \u03a9", "\u1fee", "\u0344",
    "中文字符", "我喜欢机器人。", "日本語のテキスト、ロボット！", "한국어 로봇 이야기", "繁體中文 and English mixed", "ﾊﾝｶｸ カタカナ", "\u2f00\u4e00", "\uf900", "𠮷野家", "㍿",
    "Привет, робот!", "Ελληνικά ρομπότ", "שלום עולם", "مرحبا بالعالم", "हिन्दी में रोबोट", "ภาษาไทยไม่มีช่องว่าง", "Việt Nam", "Straße ẞ", "İstanbul ı", "ǅ ǆ", "ñandú", "žluťoučký kůň",
    "\U0001f600", "\U0001f916 robot", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", "\u2764\ufe0f", "\u0031\ufe0f\u20e3", "\U0001f3f4\U000e0067\U000e0062\U000e007f",
    "\U0001f9d1\u200d\U0001f680 on Mars", "\U0001d54f\U0001d550", "\U0001f600\U0001f600\U0001f600",
    "\ufffd", "a\ufffdb", "\ufffd\ufffd", "\u0000", "a\u0000b", "\u0001\u0002\u001f", "\u007f\u0080\u009f", "\u001b[31mred\u001b[0m", "\b\f\v", "\ufeffbom", "a\u200bb\u200cc\u200dd", "\u202eabc\u202c", "\u00ad", "\ue000", "\U0010ffff", "\ufdd0",
    "a" * 300, "ab" * 120, "Donaudampfschifffahrtsgesellschaft" * 4, " " * 40, " " * 40 + "x", "\n" * 30, "\t" * 20, "9" * 50, "!" * 60, "é" * 40, "\U0001f600" * 12, "a b " * 30,
]


def texts(seed=1, mixed=12):
    """The fixed texts, then some made of random pieces of them."""
    rng = random.Random(seed)
    pieces = [t for t in FIXED if 0 < len(t) < 40]
    return FIXED + ["".join(rng.choice(pieces) for _ in range(rng.randint(3, 7))) for _ in range(mixed)]
