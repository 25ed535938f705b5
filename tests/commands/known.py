"""What a line is read against: groups, samples, and those last shown."""

from agentclust.commands import VERBS, parse

GROUPS = ["violin", "cello", "harp", "acoustic guitar", "outdoor", "salt and pepper", "x", "y", "z"]
SAMPLES = [f"img_{i}" for i in range(1, 60)] + ["sub/img_77.jpg", "sub/twin.png", "other/twin.png"]
SHOWN = ["img_1", "img_2", "img_3"]


def read(text, groups=GROUPS, samples=SAMPLES, shown=SHOWN):
    """What a line means, in short: the verb and what was given."""
    asked = parse(text, groups, samples, shown)
    if asked is None:
        return None
    defaults = {arg.name: arg.default for arg in VERBS[asked.verb].args}
    assert list(asked.args) == list(defaults)
    given = {name: value for name, value in asked.args.items() if value != defaults[name]}
    return asked.verb, *given.values()
