"""What robot stories are about: names, friends, places, crafts and mishaps.

Plain data; stories.py puts it together.
"""

# (name, he/him/his)
HE, SHE, IT = ("he", "him", "his"), ("she", "her", "her"), ("it", "it", "its")

ROBOTS = (
    [(n, HE) for n in ("Bolt", "Rusty", "Milo", "Otto", "Gus", "Max", "Cog", "Copper", "Finch", "Biscuit", "Tock", "Hugo")]
    + [(n, SHE) for n in ("Nova", "Tilly", "Ada", "Juno", "Luma", "Hazel", "Iris", "Dot", "Fern", "Pixel", "Wren", "Clara")]
    + [(n, IT) for n in ("Pip", "Zed", "Beep", "Widget", "Echo", "Sprocket", "Patch", "Byte", "Tin", "Button", "Spark", "Unit Seven")]
)

TRAITS = ("small", "kind", "shy", "curious", "clumsy", "cheerful", "quiet", "brave", "patient", "gentle", "old", "careful",
          "friendly", "lonely", "clever", "little", "tall", "round", "hopeful", "stubborn")

LOOKS = ("with a round body and two bright blue eyes", "made of shiny tin", "with one squeaky wheel",
         "with a copper head and long thin arms", "with a small green light on {his} chest", "painted in yellow and white",
         "with rusty elbows and a warm voice", "made from old spoons and clock parts", "with a bent antenna",
         "no taller than a kitchen chair", "with three wheels and a big heart", "with soft rubber hands",
         "built from the parts of an old radio", "with a dented silver belly", "with eyes like two little lamps")

# (how the friend is introduced, name, pronouns)
FRIENDS = (
    [(f"a girl named {n}", n, SHE) for n in ("Mia", "Anna", "Lily", "Zoe", "Nora", "Emma", "Yuki", "Ella")]
    + [(f"a boy named {n}", n, HE) for n in ("Leo", "Sam", "Ben", "Tom", "Omar", "Ravi", "Carlos", "Jonas")]
    + [(f"an old woman named {n}", n, SHE) for n in ("Rosa", "Greta", "Edith")]
    + [(f"an old man named {n}", n, HE) for n in ("Henry", "Walter", "Abel")]
    + [(f"a {job} named {n}", n, p) for job, n, p in (
        ("baker", "Maria", SHE), ("farmer", "Peter", HE), ("teacher", "Miss Lane", SHE), ("sailor", "Jack", HE),
        ("young mechanic", "Sofia", SHE), ("postman", "Mister Brown", HE))]
    + [(f"a {kind} called {n}", n, p) for kind, n, p in (
        ("gray cat", "Misty", SHE), ("brown dog", "Rex", HE), ("tiny bird", "Peep", SHE), ("white rabbit", "Snow", HE),
        ("wise owl", "Olive", SHE), ("field mouse", "Crumb", HE), ("red fox", "Ember", SHE), ("slow turtle", "Sheldon", HE))]
)
KINDS = ("cat", "dog", "bird", "rabbit", "owl", "mouse", "fox", "turtle")

# (where, [spots one can go to], season-free detail)
PLACES = (
    ("in a small town by the sea", ("the harbor", "the old lighthouse", "the fish market", "the sandy beach", "the stone pier"), "The air smelled of salt"),
    ("on a farm at the edge of the hills", ("the red barn", "the apple trees", "the duck pond", "the wheat field", "the old well"), "The hills were green"),
    ("in a big city full of lights", ("the train station", "the park", "the busy market", "the tall clock tower", "the library steps"), "The streets were never quiet"),
    ("in a quiet village in the mountains", ("the wooden bridge", "the mill", "the village square", "the pine forest", "the bakery"), "Snow lay on the peaks"),
    ("on a space station high above the Earth", ("the engine room", "the big window", "the storage deck", "the greenhouse", "the landing dock"), "The stars were always near"),
    ("in a workshop behind the train station", ("the tool shelf", "the railway yard", "the front door", "the narrow alley", "the coal shed"), "Trains sang in the distance"),
    ("in a school with a large garden", ("the music room", "the playground", "the school kitchen", "the old oak tree", "the library"), "Children laughed all day"),
    ("near a deep forest", ("the silver stream", "the hollow tree", "the mossy rocks", "the hidden path", "the little clearing"), "The trees whispered in the wind"),
    ("in a museum of machines", ("the great hall", "the dusty cellar", "the map room", "the ticket desk", "the stairs"), "Old machines stood in long rows"),
    ("in a toy shop on a corner", ("the shop window", "the back room", "the top shelf", "the street outside", "the wooden counter"), "A little bell rang at the door"),
    ("in a lighthouse on a rocky island", ("the winding stairs", "the lamp room", "the boat house", "the rocky shore", "the bird cliffs"), "Waves broke on the rocks"),
    ("on the red plains of Mars", ("the glass dome", "the dusty crater", "the water tank", "the rover garage", "the red hills"), "The sky was pink in the morning"),
)

# A craft: does, did, do, doing, tool, made thing, how it goes wrong, how it goes well
CRAFTS = (
    ("paints pictures", "painted pictures", "paint pictures", "painting pictures", "paintbrush", "painting",
     ("The colors ran together and turned to mud", "The first picture looked like a potato", "Paint dripped on the floor"),
     ("The blue of the sky looked almost real", "Every picture seemed to glow", "The colors danced on the paper")),
    ("grows flowers", "grew flowers", "grow flowers", "growing flowers", "watering can", "sunflower",
     ("The seeds would not sprout", "The leaves turned yellow", "The wind broke the thin stems"),
     ("Tiny green leaves pushed through the soil", "A yellow flower opened in the sun", "Bees came from far away")),
    ("bakes bread", "baked bread", "bake bread", "baking bread", "wooden spoon", "loaf of bread",
     ("The dough stuck to everything", "The first loaf was as hard as a stone", "Smoke came out of the oven"),
     ("The crust was golden and warm", "The whole street smelled of fresh bread", "The bread was soft and sweet")),
    ("plays the violin", "played the violin", "play the violin", "playing the violin", "violin bow", "song",
     ("The notes sounded like an angry goose", "One string broke with a loud snap", "The melody fell apart"),
     ("The notes rose up like birds", "The music was soft and clear", "People stopped to listen")),
    ("fixes clocks", "fixed clocks", "fix clocks", "fixing clocks", "tiny screwdriver", "clock",
     ("A spring jumped across the room", "The hands turned the wrong way", "One small wheel was missing"),
     ("The clock began to tick again", "Every wheel turned smoothly", "The bell rang at just the right time")),
    ("delivers letters", "delivered letters", "deliver letters", "delivering letters", "leather bag", "letter",
     ("The wind blew the letters away", "The names were hard to read", "The last house was very far"),
     ("Every letter found its door", "People waited at their windows and waved", "No letter was ever late again")),
    ("builds kites", "built kites", "build kites", "building kites", "ball of string", "kite",
     ("The paper tore in the wind", "The kite fell into a tree", "The string was full of knots"),
     ("The kite climbed higher and higher", "Its long tail danced in the sky", "The red kite touched the clouds")),
    ("cooks soup", "cooked soup", "cook soup", "cooking soup", "soup ladle", "pot of soup",
     ("The soup tasted like soap", "Somebody had hidden the salt", "The pot boiled over"),
     ("The soup was hot and rich", "Everyone asked for more", "The smell filled the whole house")),
    ("watches the stars", "watched the stars", "watch the stars", "watching the stars", "telescope", "map of the stars",
     ("Clouds covered the whole sky", "The lens was dusty", "The map had a hole in the middle"),
     ("A shooting star crossed the sky", "The moon looked close enough to touch", "The sky was full of silver points")),
    ("tells stories", "told stories", "tell stories", "telling stories", "notebook", "story",
     ("The story had no ending", "The words came out in the wrong order", "Nobody laughed at the right place"),
     ("Everyone leaned closer to hear", "The words came easily now", "The children asked for one more")),
    ("repairs toys", "repaired toys", "repair toys", "repairing toys", "box of screws", "toy train",
     ("The glue would not hold", "The wheels fell off again", "One arm was on backwards"),
     ("The little train ran in circles", "The old bear looked like new", "The music box played again")),
    ("sings songs", "sang songs", "sing songs", "singing songs", "songbook", "song",
     ("The high notes came out as squeaks", "The words were easy to forget", "The rhythm was all wrong"),
     ("The song was simple and beautiful", "Soon everyone sang along", "The voice rang like a bell")),
    ("cleans the streets", "cleaned the streets", "clean the streets", "cleaning the streets", "broom", "clean street",
     ("The leaves kept falling", "The dust came back every hour", "The broom was too short"),
     ("The stones shone like glass", "Not one leaf was left", "The street had never looked so fine")),
    ("collects old things", "collected old things", "collect old things", "collecting old things", "magnifying glass", "collection",
     ("The shelves were too full", "Nobody knew what the things were for", "A box fell and spilled everywhere"),
     ("Every little thing had its own story", "Visitors came to look and wonder", "Even the smallest button was special")),
    ("dances", "danced", "dance", "dancing", "pair of red shoes", "dance",
     ("The steps were hard to remember", "The wheels slipped on the floor", "The music was much too fast"),
     ("The steps came as easily as breathing", "The floor seemed to float", "The whole room clapped in time")),
)

FEARS = (("the dark", "the light went out"), ("thunder", "a storm rolled in"), ("deep water", "the water began to rise"),
         ("high places", "the only way led up a tall ladder"), ("loud noises", "a siren began to howl"))

# part, what it does when broken, what mends it
PARTS = (("left wheel", "turn", "the wheel of an old bicycle"), ("right arm", "move", "a spring from a clock"),
         ("battery", "hold its power", "a small solar panel"), ("antenna", "hear the radio", "a silver fork"),
         ("voice box", "make a sound", "the speaker of a broken radio"), ("left eye", "see", "a round glass marble"),
         ("knee", "bend", "a drop of oil and a rubber band"), ("gear", "turn", "a gear from an old music box"))

FINDS = (("a small blue egg", "a tiny bird came out and chirped"), ("an old map", "it led to a box full of letters"),
         ("a strange seed", "a tree with silver leaves grew from it"), ("a music box", "it played a tune that everyone remembered"),
         ("a rusty key", "it opened a door that nobody had opened for years"), ("a broken star lamp", "it filled the night with light"),
         ("a bottle with a note inside", "the note said that somebody far away wanted a friend"),
         ("a sleeping kitten", "it woke up and began to purr"))
