"""`dataclass`, `field`, `replace` and `asdict` for the values of this project, as far as it uses them.

The standard ones import `inspect` and compile source for each class: for the fifty classes of one run that was a third
of its start. To a type checker these are the standard ones.
"""

from __future__ import annotations

from operator import attrgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import asdict, dataclass, field, replace

    __all__ = ["asdict", "dataclass", "field", "replace"]
else:

    class _Made:
        """A default that is made anew for each value."""

        def __init__(self, factory):
            self.factory = factory

    def field(*, default_factory):
        return _Made(default_factory)

    def dataclass(cls=None, /, *, frozen=False, eq=True, repr=True):  # noqa: A002  # the standard names
        """Fields are the class's own annotations; no inheritance, no `__post_init__`."""
        if cls is None:
            return lambda cls: dataclass(cls, frozen=frozen, eq=eq, repr=repr)
        names = cls.__match_args__ = tuple(cls.__annotations__)
        defaults = {name: vars(cls)[name] for name in names if name in vars(cls)}
        for name, default in defaults.items():
            if isinstance(default, _Made):
                delattr(cls, name)
        cls.__init__ = _init(cls, names, defaults)
        if frozen:
            cls.__setattr__ = cls.__delattr__ = _refuse
        if repr:
            cls.__repr__ = _repr
        if eq:
            cls.__eq__ = _eq
            values = attrgetter(*names) if names else str
            cls.__hash__ = (lambda self: hash(values(self))) if frozen else None
        return cls

    def _init(cls, names, defaults):
        known = frozenset(names)
        made = {name: default.factory for name, default in defaults.items() if isinstance(default, _Made)}

        def __init__(self, *args, **given):  # noqa: N807  # it becomes a method
            own = vars(self)
            if len(args) == len(names) and not given:
                own.update(zip(names, args, strict=True))
                return
            positional = names[: len(args)]
            if len(args) > len(names) or not known.issuperset(given) or not given.keys().isdisjoint(positional):
                raise TypeError(f"{cls.__name__} takes {', '.join(names)}, each once")
            own.update(zip(positional, args, strict=True))
            for name in names[len(args) :]:
                if name in given:
                    own[name] = given[name]
                elif name in made:
                    own[name] = made[name]()
                elif name in defaults:
                    own[name] = defaults[name]
                else:
                    raise TypeError(f"{cls.__name__} needs `{name}`")

        return __init__

    def _refuse(self, name, *_):
        raise AttributeError(f"cannot change `{name}`: {type(self).__name__} is immutable")

    def _repr(self):
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def _eq(self, other):
        return vars(self) == vars(other) if type(self) is type(other) else NotImplemented

    def replace(value, /, **changes):
        """A copy with other values for some fields."""
        return type(value)(**{**vars(value), **changes})

    def asdict(value):
        """As data: values within values, tuples and lists too."""
        return {name: _plain(inner) for name, inner in vars(value).items()}

    def _plain(value):
        if hasattr(type(value), "__match_args__") and hasattr(value, "__dict__"):
            return asdict(value)
        if isinstance(value, dict):
            return {key: _plain(inner) for key, inner in value.items()}
        return type(value)(map(_plain, value)) if type(value) in (tuple, list) else value
