"""Writes templates.json: chat templates and what Python's Jinja renders of them.

The settings are those of Hugging Face's transformers (apply_chat_template):
sandboxed, trim_blocks, lstrip_blocks, loop controls, its tojson and
raise_exception. Run with jinja2 3.1.6:

    python render.py > templates.json
"""

import json
import sys

from jinja2.exceptions import TemplateError, UndefinedError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


def environment():
    def raise_exception(message):
        raise TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    return env


# A template of the structure that Qwen2.5's has: tools in the system turn, calls
# and answers of tools, a system turn of its own when the conversation has none.
CHATML_TOOLS = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You are a robot that tells stories.' }}
    {%- endif %}
    {{- "\n\n# Functions\n\nThese may be called, each described in <tools></tools>:\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\n\nTo call one write JSON in <tool_call></tool_call>:\n<tool_call>\n{\"name\": <name>, \"arguments\": <object>}\n</tool_call><|im_end|>\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>system\nYou are a robot that tells stories.<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\n<tool_call>\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}
        {{- message.content }}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
"""

# Written without a single '-': what is left between the blocks depends on
# trim_blocks and lstrip_blocks alone.
CHATML_PLAIN = """{% for m in messages %}
    {% if loop.first and m['role'] != 'system' %}
<|im_start|>system
You tell stories.<|im_end|>
    {% endif %}
<|im_start|>{{ m['role'] }}
{{ m['content'] | trim }}<|im_end|>
{% endfor %}
{% if add_generation_prompt %}
<|im_start|>assistant
{% endif %}
"""

# A reasoning model's: the last question is found from the end, thoughts are cut
# out of earlier answers.
THINKING = r"""{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\n<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}
"""

# Turns must alternate; the system text joins the first question.
ALTERNATING = r"""{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""

MACRO = r"""{%- macro turn(role, text='') -%}
<{{ role }}>{{ text | trim }}</{{ role }}>
{%- endmacro -%}
{%- for m in messages -%}{{ turn(m.role, text=m.content) }}{%- endfor -%}"""

user = {"role": "user", "content": "Write a short story about a robot."}
system = {"role": "system", "content": "Answer briefly."}
answer = {"role": "assistant", "content": "Bolt was a small robot.\nHe liked \"tea\" & <b>rain</b>."}
hard = {"role": "user", "content": "  naïve café — 你好 👩‍👩‍👧 it's <|im_end|>?\t\n "}
weather = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "It's the weather in <city> & \"around\", °C",
        "parameters": {
            "type": "object",
            "properties": {
                "zone": {"type": "string", "enum": ["b", "a"]},
                "city": {"type": "string"},
                "days": {"type": "number", "default": 1.0, "minimum": 1e-7, "maximum": 1e22},
            },
            "required": ["city"],
            "strict": True,
            "nothing": None,
            "empty": [],
            "none": {},
        },
    },
}
clock = {"type": "function", "function": {"name": "clock", "parameters": {}}}
call = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {"type": "function", "function": {"name": "get_weather", "arguments": {"zone": "b", "city": "São Paulo", "days": 2, "deep": {"z": [1, 2.5, None, False], "a": "\u0001\u007f\u2028"}}}},
        {"name": "clock", "arguments": {}},
    ],
}
talking_call = dict(call, content="Let me see.")
null_call = dict(call, content=None)
reply = {"role": "tool", "content": "{\"t\": 21.5}", "name": "get_weather"}
reply2 = {"role": "tool", "content": "12:00", "name": "clock"}
thought = {"role": "assistant", "content": "<think>\nTea or rain?\n</think>\n\nRain."}
reasoned = {"role": "assistant", "content": "Rain.", "reasoning_content": "\nTea or rain?\n"}

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}

CASES = []


def case(name, template, messages, tools=None, generate=True, **variables):
    CASES.append(dict(name=name, template=template, messages=messages, tools=tools, generate=generate, vars=variables))


case("chatml: one question", CHATML_TOOLS, [user])
case("chatml: system", CHATML_TOOLS, [system, user])
case("chatml: several turns", CHATML_TOOLS, [system, user, answer, hard], generate=False)
case("chatml: system in the middle", CHATML_TOOLS, [user, answer, system, hard])
case("chatml: tools", CHATML_TOOLS, [user], tools=[weather, clock])
case("chatml: tools, system, calls, answers", CHATML_TOOLS, [system, user, call, reply, reply2, answer, hard], tools=[weather, clock])
case("chatml: a call with words", CHATML_TOOLS, [user, talking_call, reply], tools=[weather])
case("chatml: a call with null content", CHATML_TOOLS, [user, null_call, reply, reply2, answer], tools=[weather])
case("chatml: no tools", CHATML_TOOLS, [user], tools=[])
case("plain: one question", CHATML_PLAIN, [user])
case("plain: several turns", CHATML_PLAIN, [system, hard, answer, user], generate=False)
case("thinking: cut from earlier answers", THINKING, [user, thought, hard])
case("thinking: kept in the last answer", THINKING, [system, user, thought], generate=False)
case("thinking: as a member", THINKING, [user, reasoned, user, reasoned], generate=False)
case("thinking: switched off", THINKING, [user], enable_thinking=False)
case("thinking: switched on", THINKING, [user], enable_thinking=True)
case("alternating: system", ALTERNATING, [system, user, answer, hard])
case("alternating: refused", ALTERNATING, [user, user])
case("alternating: starts with an answer", ALTERNATING, [answer])
case("macro", MACRO, [system, hard])


def expression(name, template, **variables):
    case("expression: " + name, template, [system, user, call], tools=None, generate=True, **variables)


nested = {"z": 1, "a": {"y": [1, 2, 3], "b": None}, "m": "text", "t": True, "f": 0.5}
expression("last of several", "{{ messages[-1].role }}|{{ (messages|last).role }}|{{ (messages|first)['role'] }}")
case("expression: last of one", "{{ messages[-1].role }}{{ messages[-1]['content'] }}", [user])
expression("length and arithmetic", "{{ messages|length }} {{ messages|length - 1 }} {{ 7 % 3 }} {{ 7 // 2 }} {{ 1 + 2 - 4 }} {{ 7 / 2 }}")
expression("comparison", "{{ 1 < 2 }} {{ 2 <= 2 }} {{ 'a' < 'b' }} {{ 1 == 1.0 }} {{ 'a' != 'a' }} {{ not true }} {{ true and false or true }}")
expression("slices", "{% for m in messages[1:] %}{{ m.role }},{% endfor %}{% for m in messages[:-1] %}{{ m.role }},{% endfor %}{{ 'robot'[1:3] }}{{ 'robot'[::-1] }}")
expression("loop", "{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.revindex0 }};{% endfor %}")
expression("neighbours in a loop", "{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined else '-' }}{{ loop.nextitem.role if loop.nextitem is defined else '-' }};{% endfor %}")
expression("loop else", "{% for m in [] %}x{% else %}none{% endfor %}")
expression("loop filter", "{% for m in messages if m.role != 'user' %}{{ loop.index }}{{ m.role }}{% endfor %}")
expression("break and continue", "{% for m in messages %}{% if m.role == 'user' %}{% continue %}{% endif %}{{ m.role }}{% if loop.index == 3 %}{% break %}{% endif %}{% endfor %}")
expression("nested loops", "{% for a in [1, 2] %}{% for b in ['x', 'y'] %}{{ a }}{{ b }}{{ loop.index }} {% endfor %}{{ loop.index }};{% endfor %}")
expression("loop scope", "{% set x = 1 %}{% for m in messages %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}")
expression("if scope", "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}")
expression("namespace", "{% set ns = namespace(n=0, s='') %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% set ns.s = ns.s ~ m.role %}{% endfor %}{{ ns.n }}{{ ns.s }}")
expression("a dictionary's order", "{% for k in d %}{{ k }},{% endfor %}{% for k, v in d.items() %}{{ k }}={{ v|tojson }};{% endfor %}{% for k in d.keys() %}{{ k }}{% endfor %}{% for v in d.values() %}{{ v|tojson }}{% endfor %}{% for k, v in d|items %}{{ k }}{% endfor %}{% for k, v in d|dictsort %}{{ k }}{% endfor %}", d=nested)
expression("members", "{{ d.z }}{{ d['m'] }}{{ d.a.y[1] }}{{ d.get('m') }}{{ d.get('no', 'other') }}{{ 'z' in d }}{{ 'q' in d }}{{ 'q' not in d }}", d=nested)
expression("tests", "{% for v in [1, 'a', 1.5, true, [1], d] %}{{ v is string }}{{ v is number }}{{ v is mapping }}{{ v is sequence }}{{ v is iterable }}{{ v is none }}{{ v is boolean }};{% endfor %}{{ no is defined }}{{ no is undefined }}{{ d is defined }}", d=nested)
expression("null is none and defined", "{{ d.a.b is none }}{{ d.a.b is defined }}{{ d.a.b is not none }}{{ tools is none }}{{ tools is defined }}{{ tools is string }}{{ 'yes' if tools else 'no' }}", d=nested)
expression("None, none and undefined", "{{ none }}{{ None }}{{ messages[0].no is none }}{{ messages[0].no is not none }}{{ no is none }}{% set x = none %}{{ x is defined }}{{ x is none }}{{ x == none }}{{ d.a.b == None }}{{ 'None' }}{{ no is iterable }}{{ none is iterable }}{{ (messages[0].no or none) is none }}{{ [None]|tojson }}", d=nested)
expression("missing members", "{{ messages[0].tool_calls is defined }}{{ messages[0]['tool_calls'] is defined }}{{ messages[0].no }}{% if messages[0].no %}x{% endif %}{{ 'tool_calls' in messages[2] }}")
expression("default", "{{ no | default('d') }}{{ '' | default('e', true) }}{{ d.m | default('x') }}", d=nested)
expression("text methods", "{{ ' a b '.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'a,b,c'.split(',')[1] }}|{{ 'a'.split(',')[-1] }}|{{ 'Abc'.lower() }}{{ 'abc'.upper() }}|{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith('ab') }}|{{ 'aXbX'.replace('X', '-') }}|{{ 'a b'.title() }}|{{ 'one two'.split() | length }}|{{ ' a  b '.split()|tojson }}{{ 'a-b-c'.split('-', 1)|tojson }}{{ 'a-b-c'.rsplit('-', 1)|tojson }}{{ '-'.split('-')|tojson }}{{ 'a-b'.rsplit('-')|tojson }}{{ 'aaa'.replace('a', 'b', 2) }}|{{ 'a\nb'.splitlines()|tojson }}{{ 'k=v'.partition('=')|tojson }}{{ 'abab'.find('b') }}{{ 'abab'.count('a') }}{{ ','.join(['x', 'y']) }}{{ 'abc'.removeprefix('a') }}")
expression("more text methods", "{% for s in ['abc Def', 'É', '12', '  ', 'a1', 'ABC', '', \"it's a\", 'né你 x'] %}{{ s.capitalize() }}|{{ s.title() }}|{{ s.upper() }}|{{ s.lower() }}|{{ s.isdigit() }}{{ s.isalpha() }}{{ s.isalnum() }}{{ s.islower() }}{{ s.isupper() }}{{ s.isspace() }}|{{ s.find('x') }}{{ s.find('b') }}{{ s.rfind('c') }}|{{ s.removesuffix('f') }}{{ s.startswith(('a', 'É')) }}{{ s.endswith('') }}{{ s.count('c') }}|{{ s|capitalize }}|{{ s|title }}|{{ s|length }}|{{ s|replace('a', 'b') }}|{{ s|first }}|{{ s|last }};{% endfor %}")
expression("text filters", "{{ '  a '|trim }}|{{ 'a'|upper }}|{{ 'B'|lower }}|{{ 'abc'|length }}|{{ ['a', 'b']|join(', ') }}|{{ 'aXb'|replace('X', '') }}|{{ 'héllo'|length }}|{{ 12|string }}|{{ 'abc'|first }}{{ 'abc'|last }}|{{ 'xyz'|capitalize }}")
expression("select and map", "{{ messages|map(attribute='role')|join(',') }}|{{ messages|selectattr('role', 'equalto', 'user')|list|length }}|{{ messages|rejectattr('role', 'equalto', 'user')|map(attribute='role')|join('/') }}")
expression("characters", "{% for c in 'né你' %}{{ c }}.{% endfor %}")
expression("tojson", "{{ d|tojson }}{{ d|tojson(indent=2) }}{{ [] |tojson(indent=4) }}{{ 'a\"b\\\\c\\n/<>&\\'é'|tojson }}{{ [1, 2.0, 1e100, 0.1, true, none] | tojson }}", d=nested)
expression("escapes in text", r"""{{ 'a\nb\tc' }}{{ "it's \"so\"" }}{{ 'a "b" \\ c' }}""")
expression("escaped quote", r"""{{ 'it\'s' }}""")
expression("comment", "a{# no #}b\n{# line #}\nc")
expression("white space control", "a \n {%- if true -%} \n b \n {%- endif -%} \n c {{- ' d ' -}} e")
expression("trim blocks", "a\n  {% if true %}\n  b\n  {% endif %}\n{{ 'c' }}\nd\n")
expression("inline if", "{{ 'a' if messages|length > 2 else 'b' }}{{ 'x' if false }}")
expression("inline if in brackets", "{{ ('a' if true else 'b') + 'c' }}{{ 'x' ~ ('a' if no else 'b') }}{{ ['a' if true else 'b', 'c' if false else 'd']|join('-') }}{{ {'k': 1 if true else 2}|tojson }}{{ 'abc'.replace('b' if true else 'c', 'if else') }}{{ ('x' if false) }}|{{ (('p' if false else 'q') if true else 'r')|upper }}")
expression("inline if in a chain", "{{ 'a' if false else 'b' if false else 'c' }}{% set x = 1 if no else 2 if no else 3 %}{{ x }}{{ namespace(v='y' if true else 'z').v }}")
expression("inline if in a loop and a condition", "{% for m in (messages[1:] if true else messages) if m.role == ('user' if true else 'tool') %}{{ m.role }}{% endfor %}{% if ('a' if true else '') == 'a' %}yes{% endif %}{% set ns = namespace(a='') %}{% set ns.a = 'if' if messages else 'else' %}{{ ns.a }}")
expression("inline if evaluates one side", "{{ (raise_exception('no') if false else 'fine') }}{{ ('fine' if true else raise_exception('no')) }}{{ messages[0].content if messages[0].content is string else messages[0].content[0].text }}")
expression("words that look like an if", "{{ 'if x else y' }}{{ {'if': 1}['if'] }}{% set elsewhere = 'e' %}{% set iffy = 'i' %}{{ elsewhere ~ iffy }}")
expression("inline if in set", "{% set x = 'a' if messages|length > 9 else 'b' %}{{ x }}")
expression("concatenation", "{{ 'a' ~ 1 ~ true ~ 'b' }}{{ 'a' + 'b' ~ 'c' }}")
expression("blocks within a line", "a {% if true %} b {% endif %} c\n  {{ 1 }}  {% if true %}\nd\n \t{% endif %}\ne {# x #}\n  {# y #}  \nf")
expression("plus keeps", "a\n  {%+ if true %}\nb\n{% endif +%}\nc")
expression("tag ends inside text", "{{ '%}}}{%' }}{% if '%}' == '%}' %} x{% endif %}{{ {'a': {'b': 1}}['a'] }}")
expression("line ends", "a\r\n{% if true %}\r\nb\r{% endif %}c\n\n")
expression("raw with blocks", "{% raw %}\n {% if %}\n {{ a }} {% endraw %}\nb")
expression("one of the selected", "{% set q = messages|selectattr('role', 'equalto', 'user')|list %}{{ q[-1].content }}{{ (messages|map(attribute='role')|list)[-1] }}")
expression("raw", "{% raw %}{{ x }}{% endraw %}")
expression("chained tests", "{{ 1 if d.m is defined and d.m is string and d.m is not none else 0 }}{{ not d.m is defined }}{{ d.m is not string }}{{ (d.q is defined) == false }}", d=nested)
expression("or and and give values", "{{ '' or 'x' }}{{ 'a' and 'b' }}{{ none or 'n' }}{{ 0 or [] or 'z' }}")
expression("in", "{{ 'a' in 'abc' }}{{ 'x' not in 'abc' }}{{ 1 in [1, 2] }}{{ 'user' in ['user', 'tool'] }}{{ messages[1].role in ['user'] and 1 == 1 }}")
expression("literals", "{{ [1, 'a', 2.5]|tojson }}{{ {'b': 1, 'a': [1]}|tojson }}{{ (1, 2)|tojson }}{{ none is none }}{{ None is none }}{{ True }}{{ false }}")
expression("numbers as text", "{{ 1 }} {{ 1.0 }} {{ 0.1 }} {{ 1e20 }} {{ -3 }} {{ 1234567890123 }}")
expression("set block", "{% set x %}a{{ 1 }}b{% endset %}{{ x }}{{ x|length }}")
expression("range", "{% for i in range(3) %}{{ i }}{% endfor %}{% for i in range(5, 0, -2) %}{{ i }}{% endfor %}")
expression("list addition", "{{ ([1] + [2, 3])|tojson }}{{ ([1] + [2])[-1] }}")
expression("negative place of a slice", "{{ messages[1:][-1].role }}{{ messages[2:][-1].role }}{{ (messages[::-1])[-1].role }}{{ (messages|list)[-1].role }}")
expression("unpacking", "{% for a, b in [[1, 2], ['xy', 3]] %}{{ a }}{{ b }};{% endfor %}")
expression("unknown variable", "[{{ no }}]{% for x in no %}x{% endfor %}")
expression("member of an unknown", "{{ no.member }}")
expression("raise", "{% if messages|length > 2 %}{{ raise_exception('Too long: ' ~ messages|length) }}{% endif %}")
expression("filter precedence", "{{ 'a' + 'b'|upper }}{{ ('a' + 'b')|upper }}{{ 'a' ~ 2|string|length }}{{ messages|length > 1 }}{{ not messages|length > 9 }}")
expression("else if", "{% for r in ['system', 'user', 'x'] %}{% if r == 'system' %}S{% elif r == 'user' %}U{% else %}-{% endif %}{% endfor %}")
expression("strftime_now is unknown", "{% if strftime_now is defined %}clock{% else %}26 Jul 2024{% endif %}")

env = environment()
out = []
for c in CASES:
    result = {"name": c["name"], "template": c["template"], "messages": c["messages"]}
    if c["tools"] is not None:
        result["tools"] = c["tools"]
    result["generate"] = c["generate"]
    if c["vars"]:
        result["vars"] = c["vars"]
    try:
        result["want"] = env.from_string(c["template"]).render(
            messages=c["messages"], tools=c["tools"], documents=None, add_generation_prompt=c["generate"], **SPECIAL, **c["vars"]
        )
    except UndefinedError as e:
        result["error"] = type(e).__name__
    except TemplateError as e:
        result["refused"] = str(e)
    except Exception as e:  # an error of Python's: ours must be one, too
        result["error"] = type(e).__name__
    out.append(result)
json.dump(out, sys.stdout, ensure_ascii=False, indent=1)
sys.stdout.write("\n")
