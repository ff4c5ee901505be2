"""When an asset is made anew by itself: as soon as something that it is made from changed, and passed its checks."""

import dagster as dg

from kshift_assets.reporting import CARRIED, OPTIONAL

_Condition = dg.AutomationCondition
# They are behind their sources for as long as nobody asks for them: nothing waits for them.
OPTIONAL_ASSETS = dg.AssetSelection.tag(*next(iter(OPTIONAL.items())))
# They change with every run, also with that which would follow from them.
CARRIED_ASSETS = dg.AssetSelection.tag(*next(iter(CARRIED.items())))
_Any = dg.AutomationCondition[dg.AssetKey | dg.AssetCheckKey]

_no_dependency_failed = ~_Condition.any_deps_match(
    _Condition.any_checks_match(_Condition.check_failed(), blocking_only=True)
)

# Typed for any entity, as the operators that follow want it.
_other_code: _Any = _Condition.code_version_changed() & ~_Condition.missing()  # type: ignore[assignment]  # asset conditions serve
_newer: _Any = _Condition.any_deps_updated().ignore(CARRIED_ASSETS)
_updated: _Any = _newer | _other_code
_changed = _updated.since_last_handled()

# Dagster's eager() serves the newest month only, and waits for ever where one of two sources never had a month.
# all_deps_blocking_checks_passed() is false for such a source too: a check that never ran has not passed.
ON_CHANGE = (
    _changed & ~_Condition.any_deps_in_progress() & ~_Condition.in_progress() & _no_dependency_failed
).with_label("a source of it changed and passed its checks")

# What is made from whole tables waits until all of them have caught up with what they are made from: no run for each
# month in between, and no snapshot of new games with old analytics.
_is_behind: _Any = _Condition.any_deps_updated()
_settled = ~_Condition.any_deps_match(_is_behind.since(_Condition.newly_updated())).ignore(OPTIONAL_ASSETS)

# What has a freshness promise is also made anew each night, so that 'nothing new' and 'nothing ran' look different.
_tick: _Any = _Condition.cron_tick_passed("30 4 * * *")
_nightly = _tick.since_last_handled()

ON_SETTLED_CHANGE_OR_NIGHTLY = (
    (_changed | _nightly)
    & _settled
    & ~_Condition.any_deps_in_progress()
    & ~_Condition.in_progress()
    & _no_dependency_failed
).with_label("a source of it changed and all of them are done, or a night passed")

# What is made of nothing but code and the packages that it brings: `kshift ingest` makes it first.
_is_other_code: _Any = _Condition.code_version_changed()  # type: ignore[assignment]  # asset conditions serve
_still_missing: _Any = _Condition.missing() & _tick
ON_NEW_CODE = ((_is_other_code | _still_missing).since_last_handled() & ~_Condition.in_progress()).with_label(
    "its code is another, or a night passed and it was never made"
)

_half_an_hour_before: _Any = _Condition.cron_tick_passed("0 4 * * *")
BEFORE_THE_NIGHTLY_SNAPSHOT = (_half_an_hour_before.since_last_handled() & ~_Condition.in_progress()).with_label(
    "a night passed; before the nightly snapshot"
)
