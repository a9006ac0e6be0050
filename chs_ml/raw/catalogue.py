"""The standard metrics of each role, written in the language of recipes.

A table gets those for which it has the columns. Names begin with the table's name; windows are those of
``[snapshots] windows``. Any of them may be overridden, or left out with ``[data] ignore``.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chs_ml.recipe import Recipe, TableSpec

Entry = tuple[str, dict[str, Any]]
YEAR = 365
OF_METRICS = ("ratio", "difference", "change", "growth")
"""Measures that are made of other metrics and name no table."""


def catalogue(recipe: "Recipe") -> dict[str, dict[str, Any]]:
    """Return the standard metrics of a recipe's tables, as ``[metrics]`` would define them."""
    windows = recipe.snapshots.windows if recipe.snapshots is not None else ()
    timeless = recipe.snapshots is not None and recipe.snapshots.data_cut is None
    if timeless:
        windows = (0,)
    found: dict[str, dict[str, Any]] = {}
    for name, table in recipe.tables.items():
        if table.catalogue is not False:
            entries = dict(_entries(name, table, windows))
            chosen = entries if table.catalogue is True else _chosen(name, table, entries)
            found |= chosen
        found |= dict(_attributes(name, table))
    found |= dict(_first_use(recipe, found))
    if timeless:
        kept = {name: entry for name, entry in found.items() if _fits_undated(entry, found)}
        return {name.removesuffix("_0d"): _undated(entry) for name, entry in kept.items()}
    return found


def _chosen(name: str, table: "TableSpec", entries: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    from chs_ml.errors import RecipeError, nearest

    listed = table.catalogue if isinstance(table.catalogue, tuple) else ()
    for metric in listed:
        if metric not in entries:
            hint = nearest(metric, entries) or f" It has: {', '.join(entries)}."
            raise RecipeError(
                f"[tables.{name}] catalogue names {metric!r}, which the catalogue has not.{hint}"
            )
    return {metric: entries[metric] for metric in listed}


def _entries(name: str, table: "TableSpec", windows: tuple[int, ...]) -> Iterator[Entry]:
    make = _BY_ROLE.get(table.kind(name))
    if make is not None:
        for metric, entry in make(name, table.columns, windows):
            own = {} if entry.get("measure") in OF_METRICS else {"from": name}
            yield metric, own | entry


def _attributes(name: str, table: "TableSpec") -> Iterator[Entry]:
    for column in table.attributes:
        yield column, {"from": name, "measure": "latest", "of": column, "group": "Customer"}


def _first_use(recipe: "Recipe", found: Mapping[str, Any]) -> Iterator[Entry]:
    """Onboarding: days from the first contract start to the first use; missing before it."""
    roles = {table.kind(name): name for name, table in recipe.tables.items()}
    use, tenure = roles.get("usage"), f"{roles.get('contracts')}_tenure"
    if use is not None and f"{use}_recency" in found and tenure in found:
        age = _of("Product usage", measure="age", unit="days", label="Days since first use")
        yield f"{use}_age", {"from": use} | age
        first = _of("Product usage", "lower", measure="difference", of=tenure, per=f"{use}_age", unit="days")
        yield f"{use}_first_use", first | {"label": "Days to first use"}


def _undated(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "days"}


def _fits_undated(entry: dict[str, Any], entries: Mapping[str, dict[str, Any]]) -> bool:
    if entry["measure"] == "ratio":
        return all(_fits_undated(entries[entry[key]], entries) for key in ("of", "per"))
    dated = ("recency", "age", "until", "change", "growth", "slope", "active_days", "difference", "upsells")
    conditions = [*entry.get("where", {}).values(), *entry.get("among", {}).values()]
    past = any(isinstance(condition, dict) and "past" in condition for condition in conditions)
    return entry["measure"] not in dated and not entry.get("active") and not past


def _of(group: str, direction: str = "unknown", **definition: Any) -> dict[str, Any]:
    return {"group": group, "direction": direction, **definition}


def _usage(t: str, columns: Mapping[str, str], windows: tuple[int, ...]) -> Iterator[Entry]:
    group = "Product usage"
    count, feature, user, value = (columns.get(key) for key in ("count", "feature", "user", "value"))
    events: dict[str, Any] = {"measure": "count"} if count is None else {"measure": "sum", "of": count}
    for days in windows:
        yield f"{t}_{days}d", _of(group, "higher", **events, days=days)
        yield f"{t}_active_days_{days}d", _of(group, "higher", measure="active_days", days=days, unit="days")
        if feature is not None:
            yield f"{t}_features_{days}d", _of(group, "higher", measure="distinct", of=feature, days=days)
        if user is not None:
            yield f"{t}_users_{days}d", _of(group, "higher", measure="distinct", of=user, days=days)
        if value is not None:
            yield f"{t}_value_{days}d", _of(group, "higher", measure="sum", of=value, days=days)
        yield f"{t}_change_{days}d", _of(group, "higher", measure="change", of=f"{t}_{days}d")
    yield f"{t}_slope_{windows[-1]}d", _of(group, "higher", **events | {"measure": "slope"}, days=windows[-1])
    yield f"{t}_recency", _of(group, "lower", measure="recency", unit="days")


def _active_users(t: str, columns: Mapping[str, str], windows: tuple[int, ...]) -> Iterator[Entry]:
    group, users = "Product usage", columns["users"]
    for days in windows:
        yield f"{t}_mean_{days}d", _of(group, "higher", measure="mean", of=users, days=days, empty=0)
        yield f"{t}_peak_{days}d", _of(group, "higher", measure="max", of=users, days=days, empty=0)
        yield f"{t}_days_{days}d", _of(group, "higher", measure="active_days", days=days, unit="days")


def _contracts(t: str, columns: Mapping[str, str], windows: tuple[int, ...]) -> Iterator[Entry]:
    group, start = "Relationship", columns["start"]
    yield f"{t}_tenure", _of(group, measure="age", of=start, unit="days", label="Tenure")
    yield f"{t}_terms", _of(group, measure="count")
    yield f"{t}_running", _of("Value", measure="count", active=True)
    if "product" in columns:
        yield f"{t}_products", _of("Value", measure="distinct", of=columns["product"], active=True)
    for key in ("mrr", "seats"):
        if key in columns:
            yield f"{t}_{key}", _of("Value", measure="sum", of=columns[key], active=True, empty="missing")
            change = _of("Value", "higher", measure="change", of=f"{t}_{key}", days=YEAR // 2)
            yield f"{t}_{key}_growth", change
    if "mrr" in columns:
        yield f"{t}_upsells", _of("Value", "higher", measure="upsells", label="Upsells so far")
    for key in ("discount", "bill_months"):
        if key in columns:
            yield f"{t}_{key}", _of("Value", measure="mean", of=columns[key], active=True)
    if "mrr" in columns and "seats" in columns:
        yield f"{t}_price_per_seat", _of("Value", measure="ratio", of=f"{t}_mrr", per=f"{t}_seats")


def _tickets(t: str, columns: Mapping[str, str], windows: tuple[int, ...]) -> Iterator[Entry]:
    group = "Support"
    for days in windows:
        yield f"{t}_{days}d", _of(group, "lower", measure="count", days=days)
        if "escalated" in columns:
            yes = {columns["escalated"]: True}
            yield f"{t}_escalated_{days}d", _of(group, "lower", measure="count", where=yes, days=days)
        if "priority" in columns:
            high = {columns["priority"]: ["urgent", "critical", "high", "Urgent", "Critical", "High", "P1"]}
            yield f"{t}_high_{days}d", _of(group, "lower", measure="count", where=high, days=days)
    window = windows[-1]
    for key, unit in (("resolution_hours", "hours"), ("response_minutes", "minutes")):
        if key in columns:
            yield (
                f"{t}_{key}_{window}d",
                _of(group, "lower", measure="mean", of=columns[key], days=window, unit=unit),
            )
    if "closed" in columns:
        unsolved = {columns["closed"]: {"known": False}}
        yield f"{t}_unsolved", _of(group, "lower", measure="count", where=unsolved)
    if "closed" in columns and "opened" in columns:
        solved = {"of": columns["closed"], "since": columns["opened"], "days": window}
        yield f"{t}_days_to_close_{window}d", _of(group, "lower", measure="mean", **solved, unit="days")
    if "satisfaction" in columns:
        yield (
            f"{t}_csat_{window}d",
            _of("Sentiment", "higher", measure="mean", of=columns["satisfaction"], days=window),
        )
    yield f"{t}_recency", _of(group, measure="recency", unit="days")


def _surveys(t: str, columns: Mapping[str, str], windows: tuple[int, ...]) -> Iterator[Entry]:
    group, score = "Sentiment", columns["score"]
    yield f"{t}_latest", _of(group, "higher", measure="latest", of=score, kind="number")
    yield f"{t}_mean_{YEAR}d", _of(group, "higher", measure="mean", of=score, days=YEAR)
    yield f"{t}_recency", _of(group, measure="recency", where={score: {"known": True}}, unit="days")
    answered = {columns.get("answered", score): {"known": True}}
    yield (
        f"{t}_response_rate_{YEAR}d",
        _of("Engagement", "higher", measure="share", where=answered, days=YEAR),
    )


def _invoices(t: str, columns: Mapping[str, str], windows: tuple[int, ...]) -> Iterator[Entry]:
    group, window = "Billing", windows[-1]
    if "amount" in columns:
        yield f"{t}_amount_{window}d", _of("Value", measure="sum", of=columns["amount"], days=window)
    if "failed" in columns:
        failed = {columns["failed"]: True}
        yield f"{t}_failed_{window}d", _of(group, "lower", measure="count", where=failed, days=window)
    if "overdue_days" in columns:
        days = columns["overdue_days"]
        yield (
            f"{t}_overdue_days_{window}d",
            _of(group, "lower", measure="mean", of=days, days=window, unit="days"),
        )
        yield (
            f"{t}_overdue_days_max_{window}d",
            _of(group, "lower", measure="max", of=days, days=window, unit="days"),
        )
    if "due" in columns and "paid" in columns:
        overdue = {columns["due"]: {"past": True}, columns["paid"]: {"known": False}}
        yield f"{t}_overdue", _of(group, "lower", measure="count", where=overdue)
        longest = _of(group, "lower", measure="age", of=columns["due"], where=overdue, empty=0, unit="days")
        yield f"{t}_overdue_longest", longest
        late = {"of": columns["paid"], "since": columns["due"], "days": YEAR}
        yield f"{t}_paid_late_{YEAR}d", _of(group, "lower", measure="mean", **late, unit="days")


def _counted(
    group: str, direction: str
) -> "Callable[[str, Mapping[str, str], tuple[int, ...]], Iterator[Entry]]":
    def entries(t: str, columns: Mapping[str, str], windows: tuple[int, ...]) -> Iterator[Entry]:
        for days in windows:
            yield f"{t}_{days}d", _of(group, direction, measure="count", days=days)
        if "kind" in columns:
            kinds = {"of": columns["kind"], "days": windows[-1]}
            yield f"{t}_kinds_{windows[-1]}d", _of(group, direction, measure="distinct", **kinds)
        yield (
            f"{t}_recency",
            _of(group, "lower" if direction == "higher" else "unknown", measure="recency", unit="days"),
        )

    return entries


def _renewals(t: str, columns: Mapping[str, str], windows: tuple[int, ...]) -> Iterator[Entry]:
    del windows
    renewed = {columns["outcome"]: ["renewed", "contracted"]}
    yield f"{t}_so_far", _of("Relationship", measure="count", where=renewed)
    yield f"{t}_recency", _of("Relationship", measure="recency", where=renewed, unit="days")


_BY_ROLE: dict[str, Callable[[str, Mapping[str, str], tuple[int, ...]], Iterator[Entry]]] = {
    "usage": _usage,
    "active_users": _active_users,
    "contracts": _contracts,
    "tickets": _tickets,
    "surveys": _surveys,
    "invoices": _invoices,
    "touchpoints": _counted("Relationship", "higher"),
    "activity": _counted("Engagement", "higher"),
    "renewals": _renewals,
}
