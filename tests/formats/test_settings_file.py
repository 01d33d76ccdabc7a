"""Settings that differ from those of results that are there, in few words."""

from spatialembed.formats.settings_file import differences, in_short


def test_settings_that_differ_are_named_up_to_five() -> None:
    before = {"model": "a", "targets": {name: {"min_size": 5, "seed": 0.5} for name in "xyz"}}
    now = {"model": "b", "targets": {name: {"min_size": 9, "seed": 0.5} for name in "xyz"}}
    told = "model a (now b), " + ", ".join(f"min_size of {name} 5 (now 9)" for name in "xyz")
    assert in_short(differences(before, now)) == told
    now = {"model": "b", "targets": {name: {"min_size": 9, "seed": 0.9} for name in "xyz"}}
    said = in_short(differences(before, now))
    assert said.startswith("model a (now b), min_size of x 5 (now 9), seed of x 0.5 (now 0.9)")
    assert said.endswith("seed of y 0.5 (now 0.9) and 2 more")
    assert in_short(differences(now, now)) == ""
