"""What a run leaves that could read none of its images."""

from test_predictor import bright

from spatialembed.formats.at_work import at_work
from spatialembed.formats.results_folder import Results
from spatialembed.inference.folder import predict_files
from spatialembed.inference.image_files import find_images


def test_images_that_are_all_refused_leave_nothing_behind(tmp_path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "a.png").write_bytes(b"broken")
    out = tmp_path / "new" / "out"
    results, files = Results(out, ["coco"]), find_images([tmp_path / "in"], out)
    [outcome] = predict_files(bright(), files, results)
    assert outcome.error
    assert results.gather(["sub/a"]) is None
    assert not (tmp_path / "new").exists()
    out.mkdir(parents=True)
    table = out / "work.sqlite"  # of several workers
    table.touch()
    with at_work(results, {"model": "a", "seed_threshold": 0.5}, False, [], [table]):
        pass
    list(predict_files(bright(), files, results))
    assert list(out.iterdir()) == []  # which was there before
