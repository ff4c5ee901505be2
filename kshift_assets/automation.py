"""When an asset is made anew by itself: as soon as something that it is made from changed, and passed its checks."""

import dagster as dg

_Condition = dg.AutomationCondition

_no_dependency_failed = ~_Condition.any_deps_match(
    _Condition.any_checks_match(_Condition.check_failed(), blocking_only=True)
)

# Dagster's eager() serves the newest month only, and waits for ever where one of two sources never had a month.
# all_deps_blocking_checks_passed() is false for such a source too: a check that never ran has not passed.
ON_CHANGE = (
    (_Condition.any_deps_updated() | _Condition.code_version_changed()).since_last_handled()
    & ~_Condition.any_deps_in_progress()
    & ~_Condition.in_progress()
    & _no_dependency_failed
).with_label("a source of it changed and passed its checks")

# What has a freshness promise is also made anew each night, so that 'nothing new' and 'nothing ran' look different.
ON_CHANGE_OR_NIGHTLY = (
    ON_CHANGE
    | (
        _Condition.cron_tick_passed("30 4 * * *").since_last_handled()
        & ~_Condition.in_progress()
        & _no_dependency_failed
    )
).with_label("changed, or a night passed")
