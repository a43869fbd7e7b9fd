"""The training corpus: robot stories as conversations in ChatML, and as plain text.

Everything follows from one seed. `python corpus.py` prints a few documents.
"""

import random

import words
from stories import PLOTS, Story, a

DEFAULT_SYSTEM = "You tell stories."
SYSTEMS = (DEFAULT_SYSTEM,) * 6 + ("You are a helpful assistant.", "You are a storyteller.", "You are a friendly robot.", "Be brief.", "")

PLAIN_ASKS = ("Write a short story about a robot.",) * 14 + (
    "Tell me a story about a robot.", "Write a story about a robot.", "Tell me a story.", "Please write a short story about a robot.",
    "Write a robot story.", "Can you tell me a story about a robot?", "I would like to hear a story about a robot.",
    "Write a short story.", "Once more, a story about a robot, please.", "Tell a bedtime story with a robot in it.",
    "Write a short tale about a robot", "Write a story for children about a robot.", "write a short story about a robot")
ASK = ("Write a short story about", "Tell me a story about", "Write a story about", "Please tell a short story about", "I want a story about")
MORE = ("Write another one.", "Another story, please.", "Tell me one more.", "One more story about a robot.")
SMALL_TALK = (
    (("Hello!", "Hi.", "Hello", "Good morning."), ("Hello! Would you like to hear a story about a robot?", "Hello! I can tell you a story about a robot.")),
    (("Who are you?", "What are you?", "What can you do?"), ("I am a very small model, and I tell short stories about robots.",)),
    (("Thank you.", "Thanks!", "That was nice."), ("You are welcome. Shall I tell another story?", "I am glad that you liked it.")),
)


def ask_about(rng, story):
    """A request that the story answers."""
    about = rng.choice((
        f"a robot who {story.craft[0]}", f"a robot named {story.name}", f"{a(story.trait)} robot", f"a robot {story.place[0]}",
        f"a robot and {story.friend[0]}", f"{a(story.trait)} robot who {story.craft[0]}", f"{a(story.trait)} robot named {story.name}",
        PLOT_TOPICS[story.plot],
    ))
    if rng.random() < 0.1 and any(f" {kind} " in story.friend[0] for kind in words.KINDS):
        about = "a robot and a " + next(kind for kind in words.KINDS if f" {kind} " in story.friend[0])
    return f"{rng.choice(ASK)} {about}."


PLOT_TOPICS = {
    "lost": "a robot that lost something", "broken": "a broken robot", "lonely": "a lonely robot that finds a friend", "storm": "a robot in a storm",
    "contest": "a robot in a contest", "learn": "a robot that learns something new", "fear": "a robot that is afraid", "old": "an old robot",
    "find": "a robot that finds something", "gift": "a robot and a birthday",
}
assert PLOT_TOPICS.keys() == PLOTS.keys()


def questions(story):
    """What may be asked about a story that was just told."""
    return (("What is the name of the robot?", f"The robot is called {story.name}."),
            ("Who is the friend of the robot?", f"The friend of {story.name} is {story.friend[0]}."),
            ("Where does the robot live?", f"{story.name} lives {story.place[0]}."),
            ("What does the robot love?", f"{story.name} loves {story.craft[3]}."))


def conversation(rng):
    """One conversation as messages, the last one from the assistant."""
    system = rng.choice(SYSTEMS)
    messages = [{"role": "system", "content": system}] if system else []
    if rng.random() < 0.03:
        asks, answers = rng.choice(SMALL_TALK)
        return messages + [{"role": "user", "content": rng.choice(asks)}, {"role": "assistant", "content": rng.choice(answers)}]
    story = Story(rng)
    ask = rng.choice(PLAIN_ASKS) if rng.random() < 0.55 else ask_about(rng, story)
    messages += [{"role": "user", "content": ask}, {"role": "assistant", "content": story.text}]
    dice = rng.random()
    if dice < 0.05:
        messages += [{"role": "user", "content": rng.choice(MORE)}, {"role": "assistant", "content": Story(rng).text}]
    elif dice < 0.12:
        question, answer = rng.choice(questions(story))
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    elif dice < 0.14:
        asks, answers = SMALL_TALK[2]
        messages += [{"role": "user", "content": rng.choice(asks)}, {"role": "assistant", "content": rng.choice(answers)}]
    return messages


def chatml(messages):
    """Messages as the model's chat template renders them."""
    if messages[0]["role"] != "system":
        messages = [{"role": "system", "content": DEFAULT_SYSTEM}] + messages
    return "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)


def documents(seed, count):
    """Yields count documents: nine conversations to one plain story."""
    rng = random.Random(seed)
    for _ in range(count):
        text = Story(rng).text + "\n" if rng.random() < 0.1 else chatml(conversation(rng))
        yield text + "<|endoftext|>"


if __name__ == "__main__":
    for document in documents(1, 6):
        print(document, "\n" + "-" * 72)
