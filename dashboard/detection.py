"""How unusual each count of a series is, from the counts before it alone; and alarms from that. docs/detection.md is the account.

Times are seconds since 1970 throughout, rising; values are counts a row (or any amounts from 0 up), NaN where nobody looked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HOUR, DAY, WEEK = 3_600.0, 86_400.0, 604_800.0
# A sudden rise shows in one row, a slow burn in the hour; each window has its share of the false alarms.
WINDOWS = (0.0, HOUR / 4, HOUR)
SHARES = (0.8, 0.15, 0.05)
# Pseudo-observations: a slot of the week is believed as much as its hour of the day after 3 weeks, that as much as the
# recent mean after 3 days, and the last two days' level as much as the profile once they hold an hour of it.
PRIOR_VISITS = 3.0
LEVEL_SPAN, LEVEL_PRIOR = 2 * DAY, HOUR
# The profile's; the dispersion's is this part of a series' age until then.
HALF_LIFE, YOUTH = 21 * DAY, 0.5
# A rise that noise would bring once a year is an event, and teaches nothing of noise.
EVENT = 0.02
# What stands out by more standard deviations than this teaches the baseline no more than this.
WINSOR = 4.0
PRIOR_DISPERSION, PRIOR_DISPERSION_ROWS = 1.0, 50.0
# The tail: the 8th highest of the three-hourly maxima of the last 8 weeks, and a Pareto law of index 2.5 above it.
BIN, PEAKS, PEAK_MEMORY = 3 * HOUR, 8, 8 * 7 * 8
TAIL_INDEX = 2.5
PRIOR_PEAK, LEAST_PEAK = np.log1p(4.0), 0.2
# Only what is rarer than earlier news, by more than this in ln(1 / record), is news; the bar falls by one in this time.
NEWS_STEP, REFRACTORY = 0.1, DAY
# The baseline is renewed at the first bin that begins after a day, or after so many rows.
LEAST_ROWS, MOST_ROWS = 24, 256
LEAST_MEAN, NEVER = 0.01, 1e30
# Alarms: opened by what noise brings once in eight weeks, kept open by what it brings twice a week; people of the hour before.
OPEN_AT, CLOSE_AT = 0.125, 2.0
STAY_AT = 3.0
LEAST_PEOPLE = 5
QUIET = 3 * HOUR
ABANDONED = DAY  # after so long without knowing, a new rise is a new alarm
ONSET_SPAN = HOUR


@dataclass(frozen=True)
class Scores:
    """One entry a row in each array.

    score         1 / (1 + how many such peaks noise would bring in a past as long as this series' own, 8 weeks at most); 0 where it is no news
    false_alarms  how many times a week noise alone would bring such a rise, NaN where nobody looked
    expected      what the row was expected to hold
    """

    score: Floats
    false_alarms: Floats
    expected: Floats


def log_normal_tail(deviation: Floats) -> Floats:
    """log P(Z > d) of a standard normal for d >= 0, to 1 % (Pollak 1956, an upper bound), finite however far out."""
    return np.asarray(
        -deviation * deviation / 2
        - np.log((deviation + np.sqrt(deviation * deviation + 8 / np.pi)) * np.sqrt(np.pi / 2))
    )


def log_count_tail(count: Floats, mean: Floats, dispersion: float) -> Floats:
    """log P(X >= count) of a negative binomial with variance mean + dispersion * mean^2; log 0.5 at or below the mean.

    The signed root of the deviance is taken for standard normal (McCullagh and Nelder 1989, 2.4), which errs to the side of
    calm, up to some two times, and needs no whole numbers.
    """
    size = 1 / dispersion
    above = np.maximum(count, mean)
    deviance = 2 * (above * np.log(above / mean) - (above + size) * np.log((above + size) / (mean + size)))
    return log_normal_tail(np.sqrt(np.maximum(deviance, 0.0)))


class Detector:
    """Scores a series as it comes. A row's score depends on that row and earlier ones alone, however they are handed over.

    Rows are taken in blocks of about a day: within a block the baseline stands still, at its end the block is learnt.
    """

    def __init__(self) -> None:
        self._visit_sums, self._visits = np.zeros(168), np.zeros(168)
        self._excess, self._squares = np.zeros(len(WINDOWS)), np.zeros(len(WINDOWS))
        self._peaks = np.empty((0, len(WINDOWS)))
        self._bar = -np.inf
        self._rows, self._start = 0, 0.0
        # The last hours before the block, for the windows: time, value, capped value, profile, expected.
        self._past = np.empty((5, 0))
        # The rows of the block that is still open: time, value, and the least where only that is known.
        self._open = np.empty((3, 0))
        self.work = 0
        self._freeze()

    def update(self, times: Floats, values: Floats, at_least: Floats | None = None) -> Scores:
        """The scores of rows that follow the rows given before.

        `times` float64 [n], rising; `values` float64 [n], from 0 up, NaN where nobody looked. Raises ValueError where times do not rise.
        `at_least` float64 [n]: of rows whose value is NaN the count that is known so far, NaN elsewhere. Where that alone is
        above what was expected and a rise (CLOSE_AT), the row has its `false_alarms` and `expected`; it teaches nothing all the same.
        """
        least = np.full(len(times), np.nan) if at_least is None else at_least
        rows = np.stack([np.asarray(each, dtype=np.float64) for each in (times, values, least)])
        known = self._open.shape[1]
        rows = np.concatenate([self._open, rows], axis=1)
        last = self._past[0, -1:] if self._past.size else np.empty(0)
        if not np.all(np.diff(np.concatenate([last, rows[0]])) > 0):
            raise ValueError("times must rise")
        scored, at = [], 0
        for end in self._ends(rows[0]):
            block = rows[:, at:end]
            found = self._score(block)
            self._learn(block, found)
            scored.append(found[:3].copy())
            at = end
        self._open = rows[:, at:]
        if self._open.size:
            scored.append(self._score(self._open)[:3])
        joined = np.concatenate(scored, axis=1)[:, known:] if scored else np.empty((3, 0))
        return Scores(score=joined[0], false_alarms=joined[1], expected=joined[2])

    def _ends(self, times: Floats) -> list[int]:
        """Where blocks end: after enough rows or a day, where a bin begins. Known once the next row has come."""
        begins = np.flatnonzero(np.diff(np.floor_divide(times, BIN))) + 1
        ends: list[int] = []
        at, rows = 0, self._rows
        while True:
            enough = at + min(max(rows // 8, LEAST_ROWS), MOST_ROWS)
            day = max(at + LEAST_ROWS, int(np.searchsorted(times, times[at] + DAY))) if at < len(times) else enough
            position = int(np.searchsorted(begins, min(enough, day)))
            if position == len(begins):
                return ends
            end = int(begins[position])
            rows += end - at
            ends.append(end)
            at = end

    def _freeze(self) -> None:
        """The baseline of the next block from what was learnt."""
        visits = self._visits.sum()
        self._mean = max(self._visit_sums.sum() / visits, LEAST_MEAN) if visits else None
        if self._mean is not None:
            sums, counts = self._visit_sums.reshape(7, 24), self._visits.reshape(7, 24)
            of_day = (sums.sum(axis=0) + PRIOR_VISITS * self._mean) / (counts.sum(axis=0) + PRIOR_VISITS)
            self._profile = ((sums + PRIOR_VISITS * of_day) / (counts + PRIOR_VISITS)).ravel()
            known = PRIOR_DISPERSION_ROWS * self._mean**2
            dispersion = (self._excess + PRIOR_DISPERSION * known) / (self._squares + known)
        else:
            dispersion = np.full(len(WINDOWS), PRIOR_DISPERSION)
        self._dispersion = np.clip(dispersion, 0.005, 5.0)
        padding = np.full((max(0, PEAKS - len(self._peaks)), len(WINDOWS)), PRIOR_PEAK)
        peaks = np.concatenate([self._peaks, padding])
        self._usual_peak = np.maximum(np.partition(peaks, -PEAKS, axis=0)[-PEAKS], LEAST_PEAK)

    def _score(self, block: Floats) -> Floats:
        """[score, false alarms, expected, expected where seen, bar, capped, profile, excess of each window..., residual of each window...] by rows."""
        times, given, least = block
        rows = len(times)
        self.work += rows + self._past.shape[1]
        seen = ~np.isnan(given)
        values = np.where(seen, given, 0.0)
        if self._mean is None:
            # Nothing is known yet: the mean of the rows before.
            before = np.concatenate([[0.0], np.cumsum(values)[:-1]])
            count = np.concatenate([[0.0], np.cumsum(seen)[:-1]])
            profile = np.maximum(np.where(count > 0, before / np.maximum(count, 1), values), LEAST_MEAN)
            mean: Floats | float = profile
            looks = WEEK / 300
        else:
            profile = np.maximum(self._profile[_slot(times)], LEAST_MEAN)
            mean = self._mean
            looks = self._rows * WEEK / (self._past[0, -1] - self._start)
        partly, whole = ~seen & ~np.isnan(least), profile
        profile = np.where(seen, profile, 0.0)
        capped = np.minimum(values, profile + WINSOR * np.sqrt(profile + self._dispersion[0] * profile * profile))
        all_times = np.concatenate([self._past[0], times])
        old = self._past.shape[1]
        after = np.arange(old, old + rows) + 1
        level: Floats | float = 1.0
        if self._mean is not None:
            begin = np.searchsorted(all_times, times - LEVEL_SPAN)
            prior = self._mean * looks / WEEK * LEVEL_PRIOR
            of_values = _sums(self._past[2], capped)
            of_profile = _sums(self._past[3], profile)
            level = (of_values[after - 1] - of_values[begin] + prior) / (
                of_profile[after - 1] - of_profile[begin] + prior
            )
        expected = profile * level
        values_to, expected_to = _sums(self._past[1], values), _sums(self._past[4], expected)
        least_to = _sums(self._past[1], np.where(partly, least, values))
        wanted = np.where(partly, whole * level, expected)
        wanted_to = _sums(self._past[4], wanted)
        seen_to = _sums((self._past[4] > 0).astype(np.float64), seen.astype(np.float64))
        noise, record, rise = np.full(rows, np.inf), np.full(rows, np.inf), np.full(rows, np.inf)
        excesses, residuals = [], []
        for window, share, dispersion, usual_peak in zip(
            WINDOWS, SHARES, self._dispersion, self._usual_peak, strict=True
        ):
            begin = np.searchsorted(all_times, times - window, side="right") if window else after - 1
            count = values_to[after] - values_to[begin]
            mu = np.maximum(expected_to[after] - expected_to[begin], LEAST_MEAN)
            usual = mean * np.maximum(seen_to[after] - seen_to[begin], 1.0)
            excess = np.log1p(np.maximum(count - mu, 0.0) / np.sqrt(usual + dispersion * usual * usual))
            tail = np.exp(log_count_tail(count, mu, dispersion)) * (looks / share)
            noise = np.minimum(noise, tail)
            if partly.any():
                mu_least = np.maximum(wanted_to[after] - wanted_to[begin], LEAST_MEAN)
                least_tail = log_count_tail(least_to[after] - least_to[begin], mu_least, dispersion)
                rise = np.minimum(rise, np.exp(least_tail) * (looks / share))
            record = np.minimum(record, np.maximum(tail, np.exp(TAIL_INDEX * (usual_peak - excess)) * (PEAKS / share)))
            excesses.append(np.where(seen, excess, 0.0))
            spread = mu + dispersion * mu * mu
            teaches = seen & (tail > EVENT)
            residuals.append(np.where(teaches, np.minimum((count - mu) ** 2, WINSOR**2 * spread) - mu, 0.0))
            residuals.append(np.where(teaches, mu * mu, 0.0))
        record = np.where(seen, np.minimum(record, NEVER), NEVER)
        start = self._start if self._rows else times[0]
        news = (times - start) / REFRACTORY - np.log(record)
        score, bar = np.zeros(rows), self._bar
        # What is no record is no news either: no earlier row exceeded the bar of its time by more than the step.
        records = np.flatnonzero(news > np.maximum.accumulate(np.concatenate([[self._bar], news[:-1]])))
        for row in records.tolist():
            if news[row] > bar + NEWS_STEP and seen[row]:
                bar = float(news[row])
                score[row] = 1 / (1 + record[row])
        rises = partly & (np.nan_to_num(least) > wanted) & (rise <= CLOSE_AT)
        noise = np.where(seen, noise, np.where(rises, rise, np.nan))
        shown = np.where(rises, wanted, expected)
        return np.stack([score, noise, shown, expected, np.full(rows, bar), capped, profile, *excesses, *residuals])

    def _learn(self, block: Floats, found: Floats) -> None:
        times, given, _ = block
        _, _, _, expected, bars, capped, profile, *rest = found
        excesses, residuals = rest[: len(WINDOWS)], rest[len(WINDOWS) :]
        seen = ~np.isnan(given)
        values = np.where(seen, given, 0.0)
        if not self._rows:
            self._start = float(times[0])
        self._bar = float(bars[-1])
        since = times[-1] - times[0]
        forget = 0.5 ** (since / HALF_LIFE)
        # What looked like noise while the rhythm was not known yet is forgotten sooner.
        young = 0.5 ** (since / min(max((times[-1] - self._start) * YOUTH, DAY), HALF_LIFE))
        self._excess = self._excess * young + [row.sum() for row in residuals[::2]]
        self._squares = self._squares * young + [row.sum() for row in residuals[1::2]]
        starts = _starts(np.floor_divide(times, BIN))
        peaks = np.stack([np.maximum.reduceat(row, starts) for row in excesses], axis=1)
        self._peaks = np.concatenate([self._peaks, peaks])[-PEAK_MEMORY:]
        starts = _starts(np.floor_divide(times, HOUR))
        counts = np.add.reduceat(seen.astype(np.float64), starts)
        cap = expected + WINSOR * np.sqrt(expected + self._dispersion[0] * expected * expected)
        sums = np.add.reduceat(np.minimum(values, cap), starts)
        visited = counts > 0
        slots = _slot(times[starts])[visited]
        self._visit_sums *= forget
        self._visits *= forget
        np.add.at(self._visit_sums, slots, sums[visited] / counts[visited])
        np.add.at(self._visits, slots, 1.0)
        self._rows += len(times)
        past = np.concatenate([self._past, np.stack([times, values, capped, profile, expected])], axis=1)
        self._past = past[:, past[0] > times[-1] - LEVEL_SPAN]
        self._freeze()


def _slot(times: Floats) -> NDArray[np.int64]:
    """The hour of the week, 0 to 167."""
    return (np.floor_divide(times, HOUR) % 168).astype(np.int64)


def _starts(keys: Floats) -> NDArray[np.int64]:
    return np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))


def _sums(past: Floats, new: Floats) -> Floats:
    """Sums up to each position, 0 first."""
    return np.concatenate([[0.0], np.cumsum(np.concatenate([past, new]))])


def detect(times: Floats, values: Floats) -> Scores:
    """The scores of a whole series; see Detector.update for shapes and errors."""
    return Detector().update(times, values)


@dataclass(frozen=True)
class Alarm:
    """Rows of a series: where the rise begins, the one that raised the alarm, the last above its usual; and whether it is over.

    `state` is open (less than `quiet` since the last), quiet, or cannot_tell: long enough ago, but so little was expected
    since, or seen, that going on would not have shown.
    """

    onset: int
    raised: int
    last: int
    state: str


def alarms(
    times: Floats,
    values: Floats,
    scores: Scores,
    of_hour: Callable[[int], float],
    *,
    open_at: float = OPEN_AT,
    close_at: float = CLOSE_AT,
    least_people: float = LEAST_PEOPLE,
    quiet: float = QUIET,
    stay_at: float = STAY_AT,
) -> list[Alarm]:
    """Spans of rows rarer than `close_at` false alarms a week, one of them an alarm.

    A row is an alarm where noise would bring it `open_at` times a week at most and `of_hour(row)`, the distinct people of
    the hour before it, are `least_people` or more. A span ends once it has been quiet for `quiet` seconds, in which half its
    rise would have brought `least_people`; until then a new rise belongs to it. NaN neither opens nor closes. What a row
    decides, later rows never take back: `onset` and `raised` are known at the row that raised it.
    """
    seen = ~np.isnan(scores.false_alarms)
    expected_to = _sums(np.empty(0), np.where(seen, scores.expected, 0.0))
    values_to = _sums(np.empty(0), np.where(seen, np.nan_to_num(values), 0.0))
    rare = scores.false_alarms <= close_at
    hour_ago = np.searchsorted(times, times - HOUR, side="right")
    rows = np.arange(len(times)) + 1
    more = _gain(values_to[rows] - values_to[hour_ago], expected_to[rows] - expected_to[hour_ago]) >= stay_at
    above = np.flatnonzero(seen & (rare | more)).tolist()
    found: list[Alarm] = []
    first = raised = last = -1

    def state(before: int) -> str:
        """At the row `before`, of the span up to `last`."""
        if times[min(before, len(times) - 1)] - times[last] < quiet:
            return "open"
        rise = (values_to[last + 1] - values_to[first]) / max(expected_to[last + 1] - expected_to[first], LEAST_MEAN)
        would_show = (expected_to[before] - expected_to[last + 1]) * max(rise / 2, 1.0)
        return "quiet" if would_show >= least_people else "cannot_tell"

    def shown(until: int) -> int:
        """The last row that itself holds more than expected: the hour stays high for an hour after it."""
        inside = np.flatnonzero(values[raised : until + 1] > scores.expected[raised : until + 1])
        return raised + int(inside[-1]) if inside.size else raised

    for row in above:
        if last >= 0 and ((known := state(row)) == "quiet" or times[row] - times[last] > ABANDONED):
            if raised >= 0:
                found.append(Alarm(first, raised, shown(last), known))
            first = raised = -1
        elif last >= 0 and raised < 0 and times[row] - times[last] > quiet:
            first = -1  # what raised no alarm is not waited for
        if first < 0 and not rare[row]:
            continue
        if first < 0:
            first = row
        last = row
        if raised < 0 and scores.false_alarms[row] <= open_at and of_hour(row) >= least_people:
            raised, first = row, _onset(times, values_to, expected_to, first, row)
    if raised >= 0:
        found.append(Alarm(first, raised, shown(last), state(len(times))))
    return found


def _onset(times: Floats, values_to: Floats, expected_to: Floats, first: int, raised: int) -> int:
    """Where the rise that ends at `raised` most likely began, ONSET_SPAN before the first row above at most.

    The Poisson scan statistic (Kulldorff 1997): the begin for which X ln(X / E) - (X - E) is largest, X seen and E expected since.
    """
    earliest = int(np.searchsorted(times, times[first] - ONSET_SPAN))
    begins = np.arange(earliest, raised + 1)
    count = values_to[raised + 1] - values_to[begins]
    mean = np.maximum(expected_to[raised + 1] - expected_to[begins], LEAST_MEAN)
    return int(begins[int(np.argmax(_gain(count, mean)))])


def _gain(count: Floats, mean: Floats) -> Floats:
    """How much likelier a count is at its own rate than at the mean, in ln; 0 where it is not above."""
    mean = np.maximum(mean, LEAST_MEAN)
    return np.where(count > mean, count * np.log(np.maximum(count, LEAST_MEAN) / mean) - (count - mean), 0.0)
