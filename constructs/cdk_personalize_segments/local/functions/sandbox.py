"""A function's own modules, standard streams and log, within this process.

The modules of its zip, and copies of those library modules that keep state for a whole
process, are imported under a package of the sandbox's own. Its code finds them by their
usual names, since modules of a sandbox import through the sandbox. The rest of the
standard library and of the SDK is shared.
"""

import _thread
import atexit
import builtins
import importlib
import importlib.util
import io
import itertools
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from functools import cache
from importlib.machinery import (
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from cdk_personalize_segments.local.functions import isolation
from cdk_personalize_segments.local.functions.host import Setup
from cdk_personalize_segments.local.functions.lines import Lines

if TYPE_CHECKING:
    import logging

# They have a root logger, or a default session, of their process.
_COPIED: Final = frozenset({"boto3", "logging"})
# What `site` adds, which a runtime goes without.
_NO_BUILTINS: Final = ("copyright", "credits", "exit", "help", "license", "quit")
_STANDARD: Final = sys.stdlib_module_names | frozenset(sys.builtin_module_names)
# What of `signal` acts on a whole process; Python has no audit events for it.
_OF_SIGNALS: Final = (
    "alarm",
    "pause",
    "raise_signal",
    "set_wakeup_fd",
    "setitimer",
    "siginterrupt",
    "signal",
)
_numbers = itertools.count(1)


class Sandbox:
    """What a function has of its own.

    Attributes:
        environment: Its environment variables.
        package: The package that its modules are in.
    """

    def __init__(self, setup: Setup) -> None:
        """Set it up.

        Args:
            setup: What the function has around it.
        """
        variables = {**setup.environment, "PYTHONPATH": os.pathsep.join(setup.path)}
        self.environment = {
            os.fsencode(name): os.fsencode(value) for name, value in variables.items()
        }
        self.package = f"local_function_{next(_numbers)}_"
        self._code = str(setup.code)
        self._libraries = frozenset(each.stem for each in setup.libraries.iterdir())
        self._is_own = cache(self._look_for)
        self._output = Lines(lambda line: setup.log(self.plain(line)))
        self._views = self._make_views(setup.path)
        self._builtins = self._make_builtins()
        _finder.add(self)
        self._logging = self.import_module("logging")
        manager = self._logging.Manager
        named = manager.getLogger
        manager.getLogger = lambda own, name: named(own, self.plain(name))

    def import_module(self, name: str, package: str | None = None) -> Any:  # noqa: ANN401
        """Import a module by the name that the function's code has for it.

        Args:
            name: Its name, which may be relative.
            package: The package that it is relative to.

        Raises:
            ModuleNotFoundError: There is none, or none that a function has.
        """
        if name.startswith("."):
            name = importlib.util.resolve_name(name, package)
        return self._views.get(name) or importlib.import_module(self.real_name(name))

    def load(self, file: Path) -> Any:  # noqa: ANN401
        """Run a file of ours as a module of the function."""
        name = f"{self.package}.{file.stem}"
        loader = SourceFileLoader(name, str(file))
        spec = self._adopt(ModuleSpec(name, loader, origin=str(file)))
        spec.has_location = True
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        return module

    def find(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        """Find a module of the sandbox, by its name in this process."""
        if name == self.package:
            root = ModuleSpec(name, None, is_package=True)
            root.submodule_search_locations = [self._code]
            return root
        spec = PathFinder.find_spec(name, path)
        if spec is None and self.plain(name) in _COPIED:
            spec = PathFinder.find_spec(name)
        return None if spec is None else self._adopt(spec)

    def _adopt(self, spec: ModuleSpec) -> ModuleSpec:
        """Have a module import through the sandbox."""
        if isinstance(spec.loader, SourceFileLoader | SourcelessFileLoader):
            spec.loader.create_module = self._create_module  # type: ignore[method-assign]
        return spec

    def real_name(self, name: str) -> str:
        """Give the name in this process of a module that the function's code names.

        Raises:
            ModuleNotFoundError: A function has no such module.
        """
        top = name.partition(".")[0]
        if top == self.package:
            return name
        if self._is_own(top):
            return f"{self.package}.{name}"
        if top in _STANDARD or top in self._libraries:
            return name
        raise ModuleNotFoundError(f"No module named {top!r}", name=top)

    def plain(self, text: str) -> str:
        """Give a text with the names of modules as the function's code has them."""
        return text.replace(f"{self.package}.", "")

    def logger(self, name: str) -> "logging.Logger":
        """Give the function's own logger of that name."""
        logger: logging.Logger = self._logging.getLogger(name)
        return logger

    def tell_error(self, thread: threading.Thread, error: BaseException) -> None:
        """Write the exception that ended a thread."""
        trace = "".join(traceback.format_exception(error))
        self.write(f"Exception in thread {thread.name}:\n{trace}")

    def write(self, text: str) -> None:
        """Write to the function's output."""
        self._output.write(text.encode(errors="replace"))

    def end_line(self) -> None:
        """Tell what there is of a line."""
        self._output.end_line()

    def close(self) -> None:
        """Forget all modules, and say nothing more."""
        self._output.close()
        atexit.unregister(self._logging.shutdown)
        _finder.remove(self)

    def _look_for(self, top: str) -> bool:
        found = PathFinder.find_spec(top, [self._code])
        return top in _COPIED or found is not None

    def _create_module(self, spec: ModuleSpec) -> ModuleType:
        module = ModuleType(spec.name)
        vars(module)["__builtins__"] = self._builtins
        return module

    def _make_views(self, path: list[str]) -> dict[str, ModuleType]:
        """Make what the function has for modules whose contents differ for it."""

        def stream(errors: str) -> io.TextIOWrapper:
            return io.TextIOWrapper(
                self._output,  # type: ignore[arg-type]
                encoding="utf-8",
                errors=errors,
                write_through=True,
            )

        return {
            "importlib": _View(importlib, import_module=self.import_module),
            # There is no fork, and what is registered for one would stay for ever.
            "_thread": _View(
                _thread,
                start_new=isolation.start_new_thread,
                start_new_thread=isolation.start_new_thread,
            ),
            "signal": _View(signal, **_refused("signal", _OF_SIGNALS)),
            "os": _View(os, _exit=_refuse_exit, register_at_fork=_register_nothing),
            "sys": _View(
                sys,
                argv=[""],
                modules=_Modules(self),
                path=path,
                stdin=io.StringIO(),
                stdout=stream("strict"),
                stderr=stream("backslashreplace"),
            ),
        }

    def _make_builtins(self) -> dict[str, Any]:
        def print_here(*values: object, file: Any = None, **how: Any) -> None:  # noqa: ANN401
            if file is None:
                file = self._views["sys"].stdout
            print(*values, file=file, **how)

        own = {**vars(builtins), "__import__": self._import, "print": print_here}
        return {name: own[name] for name in own if name not in _NO_BUILTINS}

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Take the place of `__import__` in the function's code."""
        if level:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        real = self.real_name(name)
        found = builtins.__import__(real, globals, locals, fromlist or ())
        top = name.partition(".")[0]
        if fromlist:
            return self._views.get(name, found)
        if real != name:
            return sys.modules[f"{self.package}.{top}"]
        return self._views.get(top, found)


class _Modules(MutableMapping[str, ModuleType]):
    """`sys.modules` by the names that a function's code has for modules."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def __getitem__(self, name: str) -> ModuleType:
        try:
            return sys.modules[self._sandbox.real_name(name)]
        except ModuleNotFoundError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, module: ModuleType) -> None:
        sys.modules[self._own_name(name)] = module

    def __delitem__(self, name: str) -> None:
        del sys.modules[self._own_name(name)]

    def __iter__(self) -> Iterator[str]:
        plain = {self._sandbox.plain(name): name for name in list(sys.modules)}
        return (name for name in plain if self.get(name) is sys.modules[plain[name]])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _own_name(self, name: str) -> str:
        return f"{self._sandbox.package}.{self._sandbox.plain(name)}"


class _Finder:
    """Finds the modules of all sandboxes, for Python's own import system."""

    def __init__(self) -> None:
        self._sandboxes: dict[str, Sandbox] = {}

    def add(self, sandbox: Sandbox) -> None:
        self._sandboxes[sandbox.package] = sandbox
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def remove(self, sandbox: Sandbox) -> None:
        del self._sandboxes[sandbox.package]
        for name in list(sys.modules):
            if name.partition(".")[0] == sandbox.package:
                del sys.modules[name]

    def find_spec(
        self, name: str, path: Sequence[str] | None, _: ModuleType | None = None
    ) -> ModuleSpec | None:
        sandbox = self._sandboxes.get(name.partition(".")[0])
        return None if sandbox is None else sandbox.find(name, path)


_finder = _Finder()


class _View(ModuleType):
    """A module with some of its names replaced."""

    def __init__(self, module: ModuleType, **own: object) -> None:
        super().__init__(module.__name__)
        vars(self).update(vars(module) | own)
        self._module = module

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        # A submodule that was imported since.
        return getattr(self._module, name)


def _refused(module: str, names: Sequence[str]) -> dict[str, Callable[..., NoReturn]]:
    def refusal(name: str) -> Callable[..., NoReturn]:
        return lambda *_, **__: isolation.refuse(f"{module}.{name}")

    return {name: refusal(name) for name in names}


def _refuse_exit(_: int) -> NoReturn:
    isolation.refuse("os._exit")


def _register_nothing(**_: object) -> None:
    pass
