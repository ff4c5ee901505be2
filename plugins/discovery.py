"""How plugins are found: every file in a domain's folder, and what installed packages announce as entry points."""

import importlib
import importlib.metadata
import importlib.util
import sys
import traceback
from collections.abc import Collection, Iterator
from pathlib import Path
from types import ModuleType

from plugins.contract import Plugin, PluginError, one_line

PACKAGE = Path(__file__).parent
CHESS = PACKAGE / "chess"
ENTRY_POINT_GROUP = "kshift.plugins"


def discover(
    columns: Collection[str],
    *,
    folder: Path = CHESS,
    entry_point_group: str = ENTRY_POINT_GROUP,
    taken: Collection[str] = (),
) -> list[Plugin]:
    """All plugins of a domain, by name: one for each file `folder/<file>.py`, one for each entry point of the group.

    Files whose name begins with `_` are no plugins. `columns` are those that the games of the domain have, `taken` the
    names that other tables bear already. Raises PluginError, naming the file, for the first plugin that cannot work:
    none is skipped in silence.
    """
    if not folder.is_dir():
        raise PluginError(f"{folder}: there is no such folder of plugins; create it or name another")
    plugins: dict[str, Plugin] = {}
    origins = dict.fromkeys(taken, "another table")
    for origin, plugin in [*_in_folder(folder), *_announced(entry_point_group)]:
        if plugin.name in origins:
            raise PluginError(
                f"{origin}: the name {plugin.name!r} belongs to {origins[plugin.name]} already; "
                "give this plugin another"
            )
        try:
            plugin.check_reads(columns)
        except PluginError as error:
            raise PluginError(f"{origin}: {error}") from error
        plugins[plugin.name] = plugin
        origins[plugin.name] = origin
    return [plugins[name] for name in sorted(plugins)]


def _in_folder(folder: Path) -> Iterator[tuple[str, Plugin]]:
    for file in sorted(folder.glob("*.py")):
        if not file.name.startswith("_"):
            origin = "/".join(file.resolve().parts[-3:])
            yield origin, _plugin_of(_imported(file, origin), origin)


def _imported(file: Path, origin: str) -> ModuleType:
    try:
        if file.resolve().parent.parent == PACKAGE.resolve():
            return importlib.import_module(f"plugins.{file.parent.name}.{file.stem}")
        return _executed(file)
    except PluginError as error:
        raise PluginError(f"{origin}: {error}") from error
    except (Exception, SystemExit) as error:  # a stranger's file may raise anything, and even try to exit
        raise PluginError(
            f"{origin}: it cannot be imported{_place(error, file)} ({one_line(error)}); "
            "mend it, or move it out of the folder"
        ) from error


def _executed(file: Path) -> ModuleType:
    name = f"kshift_plugins_in_{file.parent.name}.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file.resolve())
    if spec is None or spec.loader is None:
        raise ImportError(f"no loader for {file.name}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # classes look up their module by name while they are made
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _plugin_of(module: ModuleType, origin: str) -> Plugin:
    if not hasattr(module, "plugin"):
        raise PluginError(
            f"{origin}: it defines no `plugin`; add `plugin = ColumnPlugin(…)`, or begin the file's name with `_`"
        )
    return _checked(module.plugin, origin)


def _announced(group: str) -> Iterator[tuple[str, Plugin]]:
    for entry in sorted(
        importlib.metadata.entry_points(group=group),
        key=lambda entry: (entry.name, entry.value),
    ):
        package = entry.dist.name if entry.dist else "an unknown package"
        origin = f"entry point {entry.name} = {entry.value} of {package}"
        try:
            found = entry.load()
        except PluginError as error:
            raise PluginError(f"{origin}: {error}") from error
        except (Exception, SystemExit) as error:  # as above: it may raise anything
            raise PluginError(
                f"{origin}: it cannot be loaded ({one_line(error)}); mend it, or uninstall that package"
            ) from error
        yield origin, _checked(found, origin)


def _checked(found: object, origin: str) -> Plugin:
    if not isinstance(found, Plugin):
        raise PluginError(f"{origin}: its `plugin` is a {type(found).__name__}; make it a ColumnPlugin or a GamePlugin")
    return found


def _place(error: BaseException, file: Path) -> str:
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == file.name
    ]
    return f" at line {lines[-1]}" if lines else ""
