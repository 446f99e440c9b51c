"""The explorer as a page, in a real browser: its numbers are those of `evaluate`, its files those of the writers."""

import json

import numpy as np
import pytest

from cryokit import coordinates
from cryokit.cli import main
from cryokit.coordinates import concatenate, table
from cryokit.errors import CoordinateError
from cryokit.evaluate import evaluate
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.framed_files import write_framed
from cryokit.micrograph import Micrograph, write_mrc
from cryokit.plot.explorer import Page
from cryokit.plot.explorer.contents import Tables, map_files, pictures

COUNTS = ("picks", "tp", "fp", "fn", "ignored")
HOSTILE = [
    "<img src=x onerror=window.hacked=1>",
    "</script><script>window.hacked=1</script>",
    '"><svg onload=window.hacked=1>',
    "'-window.hacked=1-'",
    "<!--<script>",
    "&lt;b&gt; \u2028 ]]> ${window.hacked=1}",
]


def small(name, shape=(64, 96)):
    return Micrograph(np.random.default_rng(0).normal(size=shape), name=name)


def written(path, micrographs, picks=None, labels=None, **settings):
    """Write a page, and return its address."""
    page = Page("<b>Picks</b></title><script>window.hacked=1</script>")
    tables = Tables([micrograph.name for micrograph in micrographs], picks, labels, **settings)
    for micrograph in micrographs:
        page.add(micrograph, pictures(micrograph, tables.diameter))
    return page.write(path, tables).resolve().as_uri()


@pytest.fixture
def opened(browser, tmp_path):
    """Return a function that writes a page, opens it, and waits until the micrograph is shown."""
    pages = []

    def opened(*contents, size=(1280, 720), **settings):
        page = browser(written(tmp_path / "page.html", *contents, **settings), size)
        pages.append(page)
        page.evaluate("() => explorer.ready")
        settle(page)
        return page

    yield opened
    for page in pages:
        assert page.faults == []
        assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
        page.close()


def settle(page):
    """Wait until everything is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def shown(page):
    """Return the counts that the page shows, by name."""
    settle(page)
    cells = page.evaluate(
        "() => Object.fromEntries(Array.from(document.querySelectorAll('[data-count]'), (cell) => "
        "[cell.dataset.count, Number(cell.textContent)]))"
    )
    return {name: cells[name] for name in (*COUNTS, "precision", "recall", "f1")}


def assert_equal(counts, result):
    for name in ("tp", "fp", "fn", "ignored"):
        assert counts[name] == getattr(result, name), name
    for name in ("precision", "recall", "f1"):
        assert counts[name] == pytest.approx(getattr(result, name), abs=5.1e-4), name
    assert counts["picks"] == len(result.picks)


def screen(page, x, y):
    """Return where a place of the micrograph is on the screen."""
    box = page.locator(".ce-stage").bounding_box()
    at = page.evaluate("(place) => explorer.toScreen(place)", {"x": x, "y": y})
    return box["x"] + at["x"], box["y"] + at["y"]


def current(page, index=0):
    """Return the picks that the page has, as x and y."""
    return page.evaluate(f"() => explorer.micrographs[{index}].picks.map(({{ x, y }}) => [x, y])")


def downloaded(page, format, folder):
    with page.expect_download() as download:
        page.locator(f'[data-download="{format}"]').click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


@pytest.fixture
def crowded():
    """Micrographs on which picks and labels are so close that most pairs have rivals, and scores are often equal."""
    rng = np.random.default_rng(7)
    micrographs, picks, labels = [], [], []
    for number in range(40):
        name = f"m{number:02}"
        micrographs.append(small(name))
        counts = rng.integers(0, 14, 2)
        picks.append(
            table(name, *rng.integers(0, 60, (2, counts[0])).astype(float), rng.integers(0, 5, counts[0]) / 5, 20)
        )
        view = np.where(rng.random(counts[1]) < 0.25, "ignore", "")
        diameter = rng.choice([12.0, 40.0, 80.0], counts[1])
        labels.append(table(name, *rng.uniform(0, 60, (2, counts[1])), diameter=diameter, view=view))
    return micrographs, concatenate(picks), concatenate(labels)


@pytest.mark.parametrize("scored", [True, False])
def test_numbers_are_those_of_evaluate(opened, crowded, scored):
    micrographs, picks, labels = crowded
    names = [micrograph.name for micrograph in micrographs]
    if not scored:
        picks = picks.assign(score=np.nan)
    page = opened(micrographs, picks, labels, labelled=names)
    for threshold in (0.0, 0.399, 0.4, 0.8) if scored else (None,):
        settings = {"micrographs": names, "threshold": threshold, "bootstrap": 0}
        if scored:
            page.get_by_label("Threshold", exact=True).fill(str(threshold))
        result = evaluate(picks, labels, **settings)
        assert_equal(shown(page), result)
        of_each = page.evaluate("() => explorer.micrographs.map((micrograph) => explorer.counts([micrograph]))")
        for counts, expected in zip(of_each, result.per_micrograph.to_dict("records"), strict=True):
            assert {name: counts[name] for name in COUNTS} == {name: expected[name] for name in COUNTS}


def test_every_pick_has_the_outcome_of_evaluate(opened, crowded):
    micrographs, picks, labels = crowded
    page = opened(micrographs, picks, labels)
    result = evaluate(picks, labels, bootstrap=0)
    code = "({ picks, judged }) => judged ? picks.map((pick) => judged.outcome.get(pick)) : []"
    assert page.evaluate(f"() => explorer.micrographs.flatMap({code})") == result.picks["outcome"].tolist()
    code = "({ judged }) => judged ? judged.foundWith.map((score) => Number.isFinite(score)) : []"
    found = result.labels[result.labels["outcome"] != "ignore"]["outcome"] == "found"
    assert page.evaluate(f"() => explorer.micrographs.flatMap({code})") == found.tolist()
    curve = page.evaluate("() => explorer.curve")
    for column in ("threshold", "precision", "recall", "tp", "fp", "f1"):
        np.testing.assert_allclose([point[column] for point in curve], result.curve[column], rtol=1e-12)


@pytest.fixture
def three():
    """A micrograph with three particles, two of which are picked, and a false pick."""
    labels = table("mic", [20, 50, 80], [30, 30, 30], diameter=16)
    return [small("mic")], table("mic", [21, 50, 70], [30, 31, 50], [0.9, 0.6, 0.3], 16), labels


def test_add_remove_move_undo_and_download(opened, three, tmp_path):
    _, picks, labels = three
    page = opened(*three)
    before = current(page)
    page.mouse.click(*screen(page, 81, 29))
    (added,) = [place for place in current(page) if place not in before]
    assert added == pytest.approx([81, 29], abs=0.2)
    assert (shown(page)["tp"], shown(page)["fn"]) == (3, 0)

    page.keyboard.down("Alt")
    page.mouse.click(*screen(page, 70, 50))
    page.keyboard.up("Alt")
    assert (len(current(page)), shown(page)["fp"]) == (3, 0)

    page.mouse.move(*screen(page, 21, 30))
    page.mouse.down()
    page.mouse.move(*screen(page, 30, 40), steps=4)
    page.mouse.move(*screen(page, 40, 55), steps=4)
    page.mouse.up()
    assert current(page)[0] == pytest.approx([40, 55], abs=0.2)
    assert shown(page)["tp"] == 2

    for format in ("csv", "star"):
        file = downloaded(page, format, tmp_path)
        read = coordinates.read(file)
        assert set(read["micrograph"]) == {"mic"}
        np.testing.assert_allclose(read[["x", "y"]], current(page), atol=1e-6)
        assert_equal(shown(page), evaluate(read, labels, bootstrap=0))

    for _ in range(3):
        page.get_by_role("button", name="Undo").click()
    assert current(page) == before
    assert_equal(shown(page), evaluate(picks, labels, bootstrap=0))
    for _ in range(3):
        page.get_by_role("button", name="Redo").click()
    assert len(current(page)) == 3
    assert current(page)[0] == pytest.approx([40, 55], abs=0.2)


def test_everything_with_the_keyboard(opened, three):
    micrographs, picks, labels = three
    second = small("other", (40, 40))
    page = opened([*micrographs, second], picks, labels)
    press = page.keyboard.press  # the picture has the focus as soon as the page is open
    before = current(page)
    press(".")  # to the first pick
    press("m")
    for _ in range(5):
        press("Shift+ArrowRight")
    press("Shift+ArrowDown")
    press("m")
    assert current(page)[0] == [26, 31]
    press("x")
    assert current(page) == before[1:]
    press("Shift+ArrowLeft")
    press("Enter")
    assert current(page)[-1] == [25, 31]
    for _ in range(3):
        press("Control+z")
    assert current(page) == before
    press("Control+y")
    assert current(page)[0] == [26, 31]
    press("u")
    press("]")
    assert page.evaluate("() => explorer.threshold") == 0.01
    press("}")
    assert page.evaluate("() => explorer.threshold") == 0.11
    press("b")
    assert page.locator('[data-show="band"]').is_checked()
    picks = shown(page)["picks"]
    with page.expect_download() as download:
        press("s")
    assert download.value.suggested_filename == "picks.csv"
    assert len(coordinates.read(download.value.path(), "csv")) == picks
    press("n")
    page.wait_for_selector('[aria-label="Micrograph other and its picks"]')
    press("p")
    page.wait_for_selector('[aria-label="Micrograph mic and its picks"]')
    press("?")
    assert page.get_by_role("region", name="Help").is_visible()
    assert page.locator(".ce-stage").evaluate("(stage) => stage === document.activeElement")


class Fingers:
    """Fingers on a page: what Chromium makes of touches that it is sent."""

    def __init__(self, page):
        self.page = page
        self.session = page.context.new_cdp_session(page)
        self.session.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})

    def on(self, *places, kind="touchStart"):
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def off(self, *left):
        self.on(*left, kind="touchEnd")
        settle(self.page)

    def tap(self, place):
        self.on(place)
        self.off()

    def drag(self, *ways, steps=5):
        """Move fingers along with each other, each from a place to another."""
        self.on(*(begin for begin, _ in ways))
        for share in np.linspace(0, 1, steps + 1)[1:]:
            places = [tuple((1 - share) * np.array(begin) + share * np.array(end)) for begin, end in ways]
            self.on(*places, kind="touchMove")
        self.off()


def test_everything_with_fingers(opened, three):
    page = opened(*three, size=(390, 844))
    fingers = Fingers(page)
    before = current(page)
    view = "() => ({ ...explorer.view })"

    # One finger pans, also from a pick, and changes nothing.
    x, y = screen(page, 21, 30)
    place = page.evaluate(view)
    fingers.drag(((x, y), (x + 40, y - 30)))
    moved = page.evaluate(view)
    assert (place["x"] - moved["x"], place["y"] - moved["y"]) == pytest.approx(
        (40 / place["scale"], -30 / place["scale"]), abs=0.1
    )
    assert current(page) == before
    page.get_by_role("button", name="Fit the whole micrograph (0)").click()

    # Two fingers zoom, and what is between them stays there.
    x, y = screen(page, 50, 30)
    fingers.drag(((x - 20, y), (x - 60, y)), ((x + 20, y), (x + 60, y)))
    assert page.evaluate("() => explorer.view.scale") == pytest.approx(3 * place["scale"], rel=0.01)
    assert screen(page, 50, 30) == pytest.approx((x, y), abs=1)
    assert current(page) == before

    # A tap adds; on a pick, which need not be hit exactly, it selects: then the finger moves it.
    fingers.tap(screen(page, 60, 20))
    assert current(page)[-1] == pytest.approx([60, 20], abs=0.2)
    x, y = screen(page, 50, 31)
    fingers.tap((x + 12, y))
    assert len(current(page)) == 4
    fingers.drag(((x, y), (x + 30, y + 20)))
    scale = page.evaluate("() => explorer.view.scale")
    assert current(page)[1] == pytest.approx([50 + 30 / scale, 31 + 20 / scale], abs=0.2)

    # A finger that rests on a pick removes it, and one that is lifted soon does not.
    fingers.on(screen(page, 60, 20))
    page.wait_for_function("() => explorer.micrograph.picks.length === 3")
    fingers.off()
    assert len(current(page)) == 3
    for _ in range(3):
        fingers.tap(middle(page.get_by_role("button", name="Undo (U)")))
    assert current(page) == before
    fingers.tap(middle(page.locator('[data-tool="remove"]')))
    fingers.tap(screen(page, 50, 31))
    assert current(page) == [before[0], before[2]]


def middle(locator):
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_controls_are_large_enough_for_fingers(opened, three):
    (micrograph,), picks, labels = three
    page = opened([micrograph, small("other")], picks, labels, size=(390, 844))
    Fingers(page)
    page.wait_for_function("() => matchMedia('(pointer: coarse)').matches")
    sizes = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input")].map((node) => {
            const { width, height } = (node.closest("label.ce-check") ?? node).getBoundingClientRect();
            return [node.outerHTML, width, height];
        })"""
    )
    assert [size for size in sizes if min(size[1:]) < 44] == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_controls_are_reached_and_named(opened, three):
    page = opened(*three)
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, [tabindex]")].filter(
            (node) => !(node.getAttribute("aria-label") || node.textContent.trim() || node.labels?.length)
        ).map((node) => node.outerHTML)"""
    )
    assert unnamed == []
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.outerHTML"))
    controls = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, [tabindex]")].filter(
            (node) => !node.disabled
        ).map((node) => node.outerHTML)"""
    )
    assert set(controls) <= reached


def test_files_are_those_of_the_writers(opened, tmp_path):
    x = [0.1 + 0.2, 1e-5, 1234567.123456, 1 / 3, 5.0, 99999999.95, 0.00012345678912]
    picks = concatenate(
        [
            table("mic,1", x, x[::-1], [0.5, 1e-7, np.nextafter(0, 1), 1.0, 0.25, 1 / 7, 0.1], 16),
            table("b", [1.5], [2.5], [0.125], [np.nan], ['side, "b"']),
        ]
    )
    micrographs = [small("mic,1"), small("b")]
    page = opened(micrographs, picks, diameter=None)
    for format in ("csv", "star"):
        file = downloaded(page, format, tmp_path)
        coordinates.write(picks, tmp_path / f"own.{format}")
        assert file.read_bytes() == (tmp_path / f"own.{format}").read_bytes()
    unscored = table("b", [1.5], [2.5])
    page = opened([small("b")], unscored)
    for format in ("csv", "star"):
        file = downloaded(page, format, tmp_path)
        assert file.name == f"b.{format}"
        coordinates.write(unscored, tmp_path / "own" / f"b.{format}")
        assert file.read_bytes() == (tmp_path / "own" / f"b.{format}").read_bytes()


def test_threshold_to_begin_with(browser, three, tmp_path):
    (micrograph,), picks, labels = three
    page = Page("Picks")
    page.add(micrograph, pictures(micrograph, 16))
    threshold = 0.6000000000000001
    opened = browser(page.write(tmp_path / "page.html", Tables(["mic"], picks, labels), threshold).as_uri())
    opened.evaluate("() => explorer.ready")
    assert_equal(shown(opened), evaluate(picks, labels, threshold=threshold, bootstrap=0))
    opened.close()


def test_zoom_keeps_the_place_under_the_pointer(opened, three):
    page = opened(*three)
    page.mouse.click(*screen(page, 21, 30))  # on a pick: nothing is added
    assert len(current(page)) == 3
    x, y = map(round, screen(page, 60, 20))
    box = page.locator(".ce-stage").bounding_box()
    under = f"() => explorer.toMicrograph({x - box['x']}, {y - box['y']})"
    place, scale = page.evaluate(under), page.evaluate("() => explorer.view.scale")
    page.mouse.move(x, y)
    page.mouse.wheel(0, -600)
    page.wait_for_timeout(100)
    assert page.evaluate("() => explorer.view.scale") > 2 * scale
    assert page.evaluate(under) == pytest.approx(place, abs=0.01)
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(x + 50, y + 30, steps=5)
    page.mouse.up()
    page.keyboard.up("Shift")
    assert screen(page, place["x"], place["y"]) == pytest.approx((x + 50, y + 30), abs=0.1)
    assert len(current(page)) == 3


def test_a_pick_cannot_leave_the_micrograph(opened, three):
    page = opened(*three)
    before = current(page)
    page.mouse.move(*screen(page, 21, 30))
    page.mouse.down()
    page.mouse.move(*screen(page, -20, 30), steps=5)
    page.mouse.up()
    assert current(page) == before
    assert page.get_by_role("button", name="Undo").is_disabled()


def test_only_picks_at_or_above_the_threshold_are_saved(opened, three, tmp_path):
    page = opened(*three)
    page.get_by_label("Threshold", exact=True).fill("0.6")
    assert coordinates.read(downloaded(page, "csv", tmp_path))["score"].tolist() == [0.9, 0.6]


def test_text_from_files_is_only_text(opened, tmp_path):
    names = [*HOSTILE, "plain"]
    picks = concatenate(
        table(name, [30], [20], 0.5, 16, view) for name, view in zip(names, [*HOSTILE[::-1], ""], strict=True)
    )
    page = opened([small(name) for name in names], picks, picks)
    for index in range(len(names)):
        page.evaluate(f"() => explorer.show({index})")
        page.evaluate("() => { explorer.colourBy = 'view'; explorer.schedule('picks'); }")
        settle(page)
    assert page.locator("select[aria-label=Micrograph] option").all_text_contents() == names
    assert page.evaluate("() => window.hacked") is None
    assert page.locator("img, svg, b").count() == 0
    read = coordinates.read(downloaded(page, "csv", tmp_path))
    assert read["view"].tolist() == picks["view"].tolist()
    page.locator('[data-download="star"]').click()
    assert "STAR" in page.locator(".ce-status").inner_text()


@pytest.mark.parametrize("size", [(1280, 720), (390, 844)])
def test_nothing_is_wider_than_the_window(opened, three, size):
    page = opened(*three, size=size)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= size[0]
    box = page.locator(".ce-stage").bounding_box()
    assert box["width"] > 0.6 * size[0]
    assert box["y"] + box["height"] <= size[1]


def test_pixels_are_shown_where_they_are(opened):
    micrograph = small("mic")
    page = opened([micrograph])
    page.evaluate("() => { explorer.view = { x: 30, y: 40, scale: 16 }; explorer.schedule('picture'); }")
    settle(page)
    rows, columns = np.mgrid[30:50, 20:40]
    shades = page.evaluate(
        """(places) => places.map((place) => {
            const { x, y } = explorer.toScreen(place);
            return explorer.pictureContext.getImageData(x, y, 1, 1).data[0];
        })""",
        [{"x": int(x), "y": int(y)} for x, y in zip(columns.ravel(), rows.ravel(), strict=True)],
    )
    low, high = np.quantile(micrograph.data, (0.01, 0.99))
    expected = np.clip(micrograph.data[30:50, 20:40], low, high).ravel()
    assert np.corrcoef(shades, expected)[0, 1] > 0.98


def test_command(browser, tmp_path, three):
    (micrograph,), picks, labels = three
    write_mrc(tmp_path / "mic.mrc", micrograph.data)
    spot, frame = np.zeros((12, 18)), Frame((12, 18), micrograph.data.shape, 7.3, -2.6, 4.4, 4.2)
    spot[9, 4] = 1
    write_framed(tmp_path / "picks" / "maps" / "mic.mrc", Picture(spot, frame))
    coordinates.write(picks, tmp_path / "picks" / "mic.csv")
    coordinates.write(labels, tmp_path / "labels" / "mic.csv")
    out = tmp_path / "out" / "page.html"
    words = ["view", tmp_path / "mic.mrc", "--picks", tmp_path / "picks", "--maps", tmp_path / "picks"]
    assert main([*map(str, words), "--labels", str(tmp_path / "labels"), "--out", str(out)]) == 0
    page = browser(out.as_uri())
    page.evaluate("() => explorer.ready")
    assert_equal(shown(page), evaluate(picks, labels, bootstrap=0))

    # The score map lies where its frame says.
    page.get_by_label("picks (L)").uncheck()
    page.get_by_label("score map (H)").check()
    settle(page)
    coloured = page.evaluate(
        """() => {
            const { width, height, data } = explorer.image;
            const places = [];
            for (let at = 0; at < width * height; at++) {
                if (data[4 * at] !== data[4 * at + 2]) {
                    places.push(explorer.toMicrograph((at % width) + 0.5, Math.floor(at / width) + 0.5));
                }
            }
            return places.map(({ x, y }) => [x, y]);
        }"""
    )
    low, high = np.min(coloured, axis=0), np.max(coloured, axis=0)
    step = 1 / page.evaluate("() => explorer.view.scale")
    x, y = frame.to_source(4, 9)
    assert (low + high) / 2 == pytest.approx([x, y], abs=step)
    assert high - low == pytest.approx([frame.step_x, frame.step_y], abs=2 * step)
    page.close()


def test_maps_of_files_with_the_same_name(tmp_path, caplog):
    files = {f"{name}/001": tmp_path / "session" / name / "001.mrc" for name in "ABC"}
    for name in "AB":
        write_mrc(tmp_path / "out" / "maps" / name / "001.mrc", np.zeros((2, 3)))
    expected = {f"{name}/001": tmp_path / "out" / "maps" / name / "001.mrc" for name in "AB"}
    for folder in ("out", "out/maps"):
        caplog.clear()
        assert map_files(tmp_path / folder, files) == expected
        assert "C/001" in caplog.text
    write_mrc(tmp_path / "a_score.mrc", np.zeros((2, 3)))
    with pytest.raises(CoordinateError, match="a_score"):
        map_files(tmp_path / "a_score.mrc", {"a": "a.mrc"})
    assert map_files(tmp_path / "a_score.mrc", {"a": "a.mrc"}, endings=["_score"]) == {"a": tmp_path / "a_score.mrc"}


def test_a_map_of_another_micrograph_is_left_out_and_told(tmp_path, caplog):
    write_mrc(tmp_path / "mic.mrc", small("mic").data)
    write_framed(tmp_path / "maps" / "mic.mrc", Picture(np.ones((4, 6)), Frame((4, 6), (128, 192), 15, 15, 32, 32)))
    words = ["view", tmp_path / "mic.mrc", "--maps", tmp_path / "maps", "--out", tmp_path / "page.html"]
    assert main(list(map(str, words))) == 1
    assert str(tmp_path / "maps" / "mic.mrc") in caplog.text
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.split('id="scores-0">')[1].startswith("null\n")
    assert not text.split('id="grey-0">')[1].startswith("null\n")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["mic.mrc", "--out", "page.txt"], "page.txt"),
        (["mic.mrc", "--picks", "other.csv", "--out", "page.html"], "--strip"),
        (["mic.mrc", "--picks", "missing.csv", "--out", "page.html"], "missing.csv"),
        (["mic.mrc", "--labels", "mic.csv", "--out", "page.html"], "mic.csv"),
        (["broken.mrc", "--out", "page.html"], "broken.mrc"),
        (["mic.mrc", "--maps", "broken.mrc", "--out", "page.html"], "--strip"),
        (["mic.mrc", "--maps", "missing", "--out", "page.html"], "missing"),
    ],
)
def test_bad_input_is_one_line(words, named, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_mrc("mic.mrc", small("mic").data)
    (tmp_path / "broken.mrc").write_bytes(b"no micrograph")
    for name in ("mic", "other"):
        coordinates.write(table(name, [1], [1]), f"{name}.csv")
    assert main(["view", *words]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert named in line
    assert not (tmp_path / "page.html").exists()


@pytest.mark.slow
def test_a_broken_micrograph_does_not_stop_the_others(tmp_path, caplog):
    write_mrc(tmp_path / "mic.mrc", small("mic").data)
    (tmp_path / "broken.mrc").write_bytes(b"no micrograph")
    assert main(["view", str(tmp_path), "--out", str(tmp_path / "page.html")]) == 1
    assert "broken.mrc" in caplog.text
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    contents = json.loads(text.split('id="contents">')[1].split("</script>")[0])
    assert [micrograph["name"] for micrograph in contents["micrographs"]] == ["mic"]


@pytest.mark.slow
def test_many_picks_on_a_large_micrograph(opened):
    rng = np.random.default_rng(0)
    micrograph = small("mic", (4096, 4096))
    labels = table("mic", *rng.uniform(0, 4095, (2, 20_000)), diameter=50)
    picks = table("mic", *rng.uniform(0, 4095, (2, 20_000)), rng.random(20_000), 50)
    page = opened([micrograph], picks, labels)
    assert_equal(shown(page), evaluate(picks, labels, bootstrap=0))
