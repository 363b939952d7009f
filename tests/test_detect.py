from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.detection import DAY, HOUR, WEEK, Alarm, Detector, Scores, alarms, detect, log_count_tail
from dashboard.series import read_series
from data.errors import InputError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Tracker = Callable[..., subprocess.CompletedProcess[str]]

START = 1_772_409_600.0  # Monday 2 March 2026, 00:00 UTC
STEP = 300.0


def rhythm(weeks: float, seed: int, level: float = 4.0, dispersion: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Over-dispersed counts every five minutes with a day and a weekend."""
    print(f"seed {seed}")
    random = np.random.default_rng(seed)
    times = START + STEP * np.arange(int(weeks * WEEK / STEP))
    hours = times / HOUR % 24
    mean = level * (1.1 + np.sin((hours - 9) * np.pi / 12)) * np.where((times // DAY + 3) % 7 >= 5, 0.6, 1.0)
    return times, random.poisson(random.gamma(1 / dispersion, mean * dispersion)).astype(float)


values = st.one_of(st.integers(0, 60).map(float), st.floats(0, 1e15), st.just(float("nan")))


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from([60.0, 300.0, 301.5, 3_600.0, 90_000.0, 3e6]), values), min_size=2, max_size=400
    ),
    st.data(),
)
def test_scores_of_a_prefix_never_change_however_rows_are_handed_over(
    rows: list[tuple[float, float]], data: st.DataObject
) -> None:
    times = START + np.cumsum([step for step, _ in rows])
    counts = np.array([value for _, value in rows])
    whole = detect(times, counts)
    assert np.all((whole.score >= 0) & (whole.score <= 1))
    assert np.all(whole.score[np.isnan(counts)] == 0)
    assert np.array_equal(np.isnan(whole.false_alarms), np.isnan(counts))
    cut = data.draw(st.integers(0, len(rows)))
    prefix = detect(times[:cut], counts[:cut])
    assert np.array_equal(whole.score[:cut], prefix.score)
    assert np.array_equal(whole.false_alarms[:cut], prefix.false_alarms, equal_nan=True)
    stream = Detector()
    first, second = stream.update(times[:cut], counts[:cut]), stream.update(times[cut:], counts[cut:])
    assert np.array_equal(whole.score, np.concatenate([first.score, second.score]))


def test_row_by_row_is_the_same_as_all_at_once() -> None:
    times, counts = rhythm(0.6, seed=1)
    stream = Detector()
    one_by_one = np.concatenate([stream.update(times[i : i + 1], counts[i : i + 1]).score for i in range(len(times))])
    assert np.array_equal(one_by_one, detect(times, counts).score)


def test_the_least_that_a_row_holds_may_raise_an_alarm_and_teaches_nothing() -> None:
    times, counts = rhythm(3, seed=4)
    hidden, least = counts.copy(), np.full(len(counts), np.nan)
    at = slice(5_000, 5_012)
    hidden[at], least[at] = np.nan, counts[at] / 2
    least[5_006] = 300
    without = detect(times, hidden)
    found = Detector().update(times, hidden, least)
    raised = np.flatnonzero(~np.isnan(found.false_alarms) & np.isnan(without.false_alarms))
    assert raised.tolist() == [5_006]
    assert found.false_alarms[5_006] < 0.01 and found.expected[5_006] > 0
    known = counts.copy()
    known[at] = np.where(np.isnan(least[at]), np.nan, least[at])
    known[5_000:5_006] = known[5_007:5_012] = np.nan
    assert found.false_alarms[5_006] >= detect(times, known).false_alarms[5_006]
    rest = np.arange(len(times)) != 5_006
    for one, other in ((found.score, without.score), (found.expected, without.expected)):
        assert np.array_equal(one[rest], other[rest])
    stream = Detector()
    parts = [stream.update(times[cut], hidden[cut], least[cut]) for cut in (slice(0, 5_003), slice(5_003, None))]
    joined = np.concatenate([part.false_alarms for part in parts])
    assert np.array_equal(joined, found.false_alarms, equal_nan=True)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_planted_incident_scores_high_and_quiet_noise_does_not(seed: int) -> None:
    times, counts = rhythm(4, seed)
    planted = counts.copy()
    at = int(3.4 * WEEK / STEP)
    planted[at : at + 12] += 250
    quiet, found = detect(times, counts), detect(times, planted)
    scored = slice(int(WEEK / STEP), None)
    assert quiet.score[scored].max() < 0.5
    assert found.score[at] > 0.8
    assert np.count_nonzero(found.score[scored] > 0.5) <= 6, "one event, few moments of news"
    raised = alarms(times, planted, found, lambda _row: 99)
    assert [alarm.raised for alarm in raised if alarm.raised >= at][:1] == [at]


def test_a_plateau_is_no_news_once_its_hour_is_full() -> None:
    times, counts = rhythm(4, seed=10)
    at = int(3.4 * WEEK / STEP)
    counts[at : at + 24] = 250
    high = np.flatnonzero(detect(times, counts).score[at : at + 24] > 0.5)
    assert high[0] == 0
    assert high[-1] < 12
    assert len(high) <= 6


def test_night_has_its_own_usual() -> None:
    times, counts = rhythm(6, seed=4)
    night, noon = (int((5.5 * WEEK + hour * HOUR) / STEP) // 288 * 288 + int(hour * 12) for hour in (3, 15))
    expected = detect(times, counts).expected
    assert expected[noon] > 4 * expected[night]
    lifted = counts.copy()
    lifted[[night, noon]] = 15
    rare = detect(times, lifted).false_alarms
    assert rare[night] < rare[noon] / 10


def test_a_shift_of_level_becomes_the_usual() -> None:
    times, counts = rhythm(6, seed=5)
    counts[len(counts) // 2 :] *= 3
    found = detect(times, counts)
    late = slice(int(5 * WEEK / STEP), None)
    assert np.count_nonzero(found.false_alarms[late] < 0.01) == 0


def test_a_slow_burn_that_no_row_shows_counts_over_the_hour() -> None:
    times, counts = rhythm(4, seed=6, dispersion=0.01)
    at = int(3.5 * WEEK / STEP) + 144
    counts[at : at + 24] += 3
    assert detect(times, counts).false_alarms[at : at + 24].min() < 1e-3


def test_a_gap_and_missing_rows_are_no_rise_and_teach_nothing() -> None:
    times, counts = rhythm(4, seed=7)
    hole = slice(int(3 * WEEK / STEP), int(3.2 * WEEK / STEP))
    missing = counts.copy()
    missing[hole] = np.nan
    left_out = np.ones(len(times), dtype=bool)
    left_out[hole] = False
    by_nan, by_absence = detect(times, missing), detect(times[left_out], counts[left_out])
    assert np.all(by_nan.score[hole] == 0)
    for rare in (by_nan.false_alarms, by_absence.false_alarms):
        assert np.nanmin(rare[hole.start :]) > 1e-5


@pytest.mark.parametrize("step", [60.0, 900.0, HOUR, DAY])
def test_other_steps_and_amounts_work(step: float) -> None:
    print("seed 8")
    random = np.random.default_rng(8)
    times = START + step * np.arange(1_000)
    amounts = random.gamma(20, 0.37, 1_000)
    amounts[900] = 400.5
    score = detect(times, amounts).score
    assert score.argmax() == 900
    assert score[900] > 0.9


def test_work_grows_with_the_rows() -> None:
    work = []
    for rows in (20_000, 40_000, 80_000):
        detector = Detector()
        detector.update(START + STEP * np.arange(rows), np.ones(rows))
        work.append(detector.work / rows)
    assert work[2] < 1.05 * work[0] < 5
    before = detector.work
    detector.update(np.array([START + STEP * 80_000]), np.ones(1))
    assert detector.work - before < 2_000, "a step looks at the open block and two days before it"


def test_the_tail_is_that_of_the_negative_binomial() -> None:
    counts = np.array([8.0, 15.0, 30.0, 60.0])
    exact = 0.6**counts * (1 + 0.4 * counts)  # P(X >= x) for mean 3 and dispersion 1/2
    found = np.exp(log_count_tail(counts, np.full(4, 3.0), 0.5))
    assert np.all((found > exact) & (found < 3 * exact))
    assert np.exp(log_count_tail(np.array([0.0, 3.0]), np.full(2, 3.0), 0.5)) == pytest.approx([0.5, 0.5])


def scored(rate: np.ndarray, expected: float) -> Scores:
    return Scores(np.zeros(len(rate)), rate, np.full(len(rate), expected))


def test_alarms_open_high_close_low_and_merge_waves() -> None:
    times = STEP * np.arange(200)
    rate = np.full(200, 100.0)
    rate[[5, 6, 12, 80]] = [8, 0.1, 5, 5]
    values = np.zeros(200)
    values[[6, 12, 15, 80]] = [40, 8, 1, 8]

    def found(people: float = 9, expected: float = 0.5, **other: float) -> list[Alarm]:
        given = {"open_at": 0.5, "close_at": 10, "quiet": HOUR, "stay_at": 99} | other
        return alarms(times, values, scored(rate, expected), lambda _row: people, **given)

    assert found() == [Alarm(onset=6, raised=6, last=12, state="quiet")]
    assert found(people=4) == []
    assert found(quiet=900) == [Alarm(onset=6, raised=6, last=6, state="quiet")]
    assert found(close_at=1) == [Alarm(onset=6, raised=6, last=6, state="quiet")]
    assert found(stay_at=3)[0].last == 15, "the hour is far above what was expected, and somebody still complains"
    rate[20] = np.nan
    assert found() == [Alarm(onset=6, raised=6, last=12, state="quiet")]


def test_an_alarm_is_over_only_once_going_on_would_have_shown() -> None:
    times = STEP * np.arange(60)
    rate, values = np.full(60, 100.0), np.zeros(60)
    rate[5:8], values[5:8] = 0.01, 20

    def state(rows: int, expected: float, unseen: bool = False) -> str:
        given = rate[:rows].copy()
        if unseen:
            given[8:] = np.nan
        [alarm] = alarms(times[:rows], values[:rows], scored(given, expected), lambda _row: 20, quiet=HOUR, stay_at=99)
        return alarm.state

    assert state(18, 1.0) == "open"
    assert state(40, 1.0) == "quiet"
    assert state(40, 1e-9) == "cannot_tell", "next to nothing is expected at night"
    assert state(40, 1.0, unseen=True) == "cannot_tell", "nobody looked"


def test_an_onset_is_where_the_rise_most_likely_began_and_known_at_the_alarm() -> None:
    times = STEP * np.arange(60)
    values = np.ones(60)
    values[26:40] = 4
    rate = np.full(60, 100.0)
    rate[30:40] = 0.1

    def onset(rows: int) -> int:
        [alarm] = alarms(times[:rows], values[:rows], scored(rate[:rows], 1.0), lambda _row: 20)
        return alarm.onset

    assert onset(31) == onset(60) == 26


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_raised_an_alarm_is_never_taken_back(seed: int) -> None:
    times, counts = rhythm(3, seed)
    for at in (3_000, 4_500, 4_560):
        counts[at : at + 10] += 60
    found = detect(times, counts)
    whole = alarms(times, counts, found, lambda row: counts[row])
    assert whole
    for cut in [*range(3_001, 3_060), *range(4_495, 4_700, 7)]:
        prefix = Scores(found.score[:cut], found.false_alarms[:cut], found.expected[:cut])
        early = alarms(times[:cut], counts[:cut], prefix, lambda row: counts[row])
        late = [alarm for alarm in whole if alarm.raised < cut]
        assert [(alarm.onset, alarm.raised) for alarm in early] == [(alarm.onset, alarm.raised) for alarm in late]


def test_times_that_do_not_rise_are_refused() -> None:
    for times in ([2.0, 1.0], [1.0, 1.0]):
        with pytest.raises(ValueError, match="rise"):
            detect(np.array(times), np.ones(2))
    assert detect(np.empty(0), np.empty(0)).score.shape == (0,)


def test_the_verb_scores_every_row_in_order(tracker: Tracker, tmp_path: Path) -> None:
    times, counts = rhythm(2, seed=9)
    counts[4_000:4_006] = [300, 90, 90, 90, 90, 90]
    given = tmp_path / "counts.csv"
    texts = np.datetime_as_string(times.astype("datetime64[s]"))
    rows = [(text.replace("T", " "), f"{count:.0f}") for text, count in zip(texts.tolist(), counts, strict=True)]
    rows[7] = (rows[7][0], "")
    with given.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([("value", "note", "timestamp"), *((v, "é", t) for t, v in rows)])
    done = tracker("detect", given, "--output", tmp_path / "scores.csv")
    assert (done.returncode, done.stdout) == (0, "")
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        out = list(csv.reader(file))
    assert out[0] == ["timestamp", "value", "anomaly_score"]
    assert [tuple(row[:2]) for row in out[1:]] == rows
    scores = [float(row[2]) for row in out[1:]]
    assert max(scores[:7]) <= 1
    assert scores[7] == 0
    assert np.argmax(scores) == 4_000
    assert not list(tmp_path.glob("*.part"))


BAD = {
    "empty": ("", "is empty"),
    "only a header": ("timestamp,value\n", "no row"),
    "other columns": ("time,count\n2026-03-02,1\n", "columns time, count"),
    "unsorted": ("timestamp,value\n2026-03-02 00:05,1\n2026-03-02 00:00,1\n", "line 3: the time lies before"),
    "duplicate": ("timestamp,value\n2026-03-02 00:05,1\n2026-03-02 00:05,1\n", "line 3: the time of the row before"),
    "same instant": ("timestamp,value\n2026-03-02 03:00+03:00,1\n2026-03-02 00:00Z,1\n", "line 3: the time of the row"),
    "text": ("timestamp,value\n2026-03-02 00:05,many\n", "line 2: the value is not a number"),
    "grouped digits": ('timestamp,value\n2026-03-02 00:05,"1,000"\n', "line 2: the value is not a number"),
    "negative": ("timestamp,value\n2026-03-02 00:00,1\n\n2026-03-02 00:05,-1\n", "line 4: the value is negative"),
    "infinite": ("timestamp,value\n2026-03-02 00:05,inf\n", "line 2: the value is above"),
    "no time": ("timestamp,value\nyesterday,1\n", "line 2: the timestamp"),
    "empty time": ("timestamp,value\n,1\n", "line 2: the timestamp"),
    "short row": ("timestamp,value\n2026-03-02 00:05\n", "line 2: too few columns"),
    "quote": ('timestamp,value\n"2026-03-02 00:05,1\n', "line 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_its_line(tmp_path: Path, case: str) -> None:
    text, message = BAD[case]
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_series(path)


def test_the_verb_ends_with_status_2_in_one_line_and_writes_nothing(tracker: Tracker, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(BAD["unsorted"][0], encoding="utf-8")
    (tmp_path / "latin.csv").write_bytes(b"timestamp,value\n2026-03-02,1\n# caf\xe9,2\n")
    good = tmp_path / "good.csv"
    good.write_text("timestamp,value\n2026-03-02,1\n", encoding="utf-8")
    out = tmp_path / "out.csv"
    for series, output in (
        (bad, out),
        (tmp_path / "latin.csv", out),
        (tmp_path / "missing.csv", out),
        (tmp_path, out),
        (good, tmp_path / "nowhere" / "out.csv"),
        (good, tmp_path),
    ):
        done = tracker("detect", series, "--output", output)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert done.stderr.startswith("error: ")
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["bad.csv", "good.csv", "latin.csv"]


def test_one_row_missing_values_offsets_and_jumps_are_defined(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_text(
        "timestamp,value\n2026-03-02T03:00:00+03:00,5\n2026-03-02 00:05,\n2026-03-02T00:10:00.5Z,NaN\n2031-01-01,2.5\n",
        encoding="utf-8",
    )
    series = read_series(path)
    assert (series.times - START).tolist()[:3] == [0, 300, 600.5]
    assert np.isnan(series.values).tolist() == [False, True, True, False]
    assert detect(series.times, series.values).score[[1, 2]].tolist() == [0, 0]
    assert detect(series.times[:1], series.values[:1]).score.tolist() == [pytest.approx(0, abs=0.1)]
