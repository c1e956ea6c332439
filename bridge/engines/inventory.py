"""What an OPA has in the place of a rule set's modules and resources, of bridges and of others."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeVar

from bridge.errors import (
    EngineError,
    ForeignContentError,
    InvalidResponseError,
    OpaStatusError,
    OwnedByBundleError,
    UnsupportedLayoutError,
)
from bridge.escapes import shown
from bridge.opa import OpaClient, StoredPolicy
from bridge.opa.paths import quoted_path
from bridge.policy import RESOURCE_TYPES
from bridge.rendering import RuleSet, is_rendered, module_paths
from bridge.store.state import TypeState, reference
from bridge.strict_json import ABSENT

_Result = TypeVar("_Result")
_SIMPLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,199}", re.ASCII)
_OWNER: Final = re.compile(r'is owned by bundle "(.*)"')
_QUERY: Final = "send ad hoc queries (POST /v1/query)"
_FORBIDDEN: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


@dataclass(frozen=True, slots=True)
class Inventory:
    """The modules and data that are there.

    Attributes:
        modules: The modules of bridges, of any release and settings: texts by policy id.
        foreign: The policy ids of all other modules with a rule or their package there, beginning with those that may
            hold a fingerprint.
        documents: The names of pushed documents below the data root.
        data: All other data below the data root: paths by reference, such as `data.jwt_policy_data.x`.
    """

    modules: Mapping[str, str]
    foreign: tuple[str, ...]
    documents: tuple[str, ...]
    data: Mapping[str, tuple[str, ...]]

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of foreign modules and data."""
        return (*self.foreign, *self.data)


def take(
    opa: OpaClient, rule_set: RuleSet, *, deadline: float | None = None, is_for_removal: bool = False
) -> Inventory:
    """Return the modules and the data below the two roots; change nothing.

    Args:
        opa: The server.
        rule_set: The rule set whose place to look at.
        deadline: Seconds for each call, in place of the client's.
        is_for_removal: If OPA does not show what is below the data root, look only for the documents of the rule set's
            types: nothing else is to be removed.

    Raises:
        OwnedByBundleError: A bundle owns the package root or the data root, a part of one, or a root above one.
        ForeignContentError: Other rules have a package root above this one, or resources have a data root that is above
            this one or is this package root.
        OpaStatusError: The right to list the policies, or to send a query, is missing; or OPA refuses otherwise.
        EngineError: OPA cannot be reached, or its response is invalid.
    """
    package, root = (tuple(name.split(".")) for name in (rule_set.package_root, rule_set.data_root))
    for place in (package, root):
        _refuse_owned(opa, place, deadline)
        _refuse_resources_above(opa, place, deadline)
    policies = _permitted(lambda: opa.list_policies(deadline=deadline), "list the policies (GET /v1/policies)")
    _refuse_rules_above(policies, package)
    modules, foreign, hidden = modules_of(policies, rule_set), [], set()
    paths = module_paths(rule_set)
    for policy in policies:
        if policy.id in modules:
            continue
        # An install would overwrite every module with an id of ours, whatever its package is.
        if policy.id in paths or _reaches(policy, package) or _reaches(policy, root):
            foreign.append(policy)
            # OPA shows the rules of such a module like data, but they are not.
            hidden |= {path[len(root)] for path in (policy.package, *policy.rules) if _is_below(path[:-1], root)}
    if not modules and not foreign and not is_for_removal:  # otherwise the rules may be what OPA shows there
        _refuse_resources_within(opa, package, rule_set.policy.types, deadline)
    try:
        documents, data = _data(opa, root, hidden, deadline)
    except EngineError as fault:
        # With rules of others there, a query for the whole root may not compile. They are reported as foreign.
        # For a removal, the names are looked up one by one if OPA, or a gateway before it, refuses the query.
        is_refused = isinstance(fault, OpaStatusError) and fault.status == HTTPStatus.BAD_REQUEST
        if not is_for_removal and not (foreign and is_refused):
            raise
        types = rule_set.policy.types
        documents, data = tuple(type_ for type_ in types if is_pushed(opa, (*root, type_), deadline=deadline)), {}
    settings = (*package, "settings")
    foreign.sort(key=lambda policy: not _reaches(policy, settings))
    return Inventory(modules, tuple(policy.id for policy in foreign), documents, data)


def modules_of(policies: Iterable[StoredPolicy], rule_set: RuleSet) -> dict[str, str]:
    """Return the modules of a bridge for this package root: texts by policy id."""
    root = rule_set.package_root
    return {each.id: each.text for each in policies if is_rendered(each.id, each.text, each.package, root)}


def shown_ids(ids: Iterable[str]) -> str:
    """Return ids for an error, each in the form that `--replace` accepts."""
    return ", ".join(f"`{shown(id_)}`" for id_ in ids)


def chosen(ids: Collection[str], replace: Iterable[str]) -> set[str]:
    """Return the ids to replace, which `replace` names as they are or as `shown_ids` shows them."""
    by_shown = {shown(id_): id_ for id_ in ids}
    return {name if name in ids else by_shown[name] for name in replace if name in ids or name in by_shown}


def not_there(ids: Collection[str], replace: Iterable[str]) -> list[str]:
    """Return the names in `replace` that name none of these ids."""
    return [name for name in replace if not chosen(ids, [name])]


def refuse_unremovable(there: Inventory, ids: Collection[str]) -> None:
    """Refuse ids that cannot be removed, before anything is changed.

    Args:
        there: The inventory.
        ids: Ids of foreign modules and data.

    Raises:
        UsageError: A URL path cannot hold one of them.
    """
    for id_ in ids:
        quoted_path("policies", there.data.get(id_, (id_,)))


def owner(refused: OpaStatusError) -> str | None:
    """Return the bundle for which OPA refused to write; None if it refused for another reason."""
    match = _OWNER.search(refused.opa_message)
    return None if match is None else match[1]


def owned(place: str, bundle: str) -> OwnedByBundleError:
    """Return the error for a place that a bundle owns."""
    return OwnedByBundleError(
        f"`data.{place}` belongs to the bundle `{shown(bundle)}`, and only its publisher can change what lies there: "
        "nothing was changed; change the bundle, or choose other roots",
        bundle,
    )


def _refuse_owned(opa: OpaClient, place: tuple[str, ...], deadline: float | None) -> None:
    """Refuse a place of an active bundle; without the right to read bundles, OPA refuses later."""
    try:
        bundles = opa.get_data(("system", "bundles"), deadline=deadline)
    except OpaStatusError as refused:
        if refused.status not in _FORBIDDEN:
            raise
        return
    for name, bundle in bundles.items() if isinstance(bundles, dict) else ():
        manifest = bundle.get("manifest") if isinstance(bundle, dict) else None
        roots = manifest.get("roots") if isinstance(manifest, dict) else None
        for root in roots if isinstance(roots, list) else [""]:
            names = tuple(filter(None, str(root).split("/")))
            if _is_below(names, place) or _is_below(place, names):
                raise owned(".".join(place), name)


def _permitted(call: Callable[[], _Result], right: str) -> _Result:
    """Return the result of a call; a refusal names the missing right."""
    try:
        return call()
    except OpaStatusError as refused:
        if refused.status not in _FORBIDDEN:
            raise
        raise OpaStatusError(
            f"{refused}; the right to {right} is missing, so nothing was changed: use a token with an operator's "
            "rights (--opa-token-file)",
            status=refused.status,
            opa_code=refused.opa_code,
            opa_message=refused.opa_message,
        ) from None


def _refuse_rules_above(policies: Iterable[StoredPolicy], package: tuple[str, ...]) -> None:
    """Refuse a package root below that of other rules: the two would overwrite each other's modules."""
    for length in range(1, len(package)):
        above = ".".join(package[:length])
        ids = [each.id for each in policies if is_rendered(each.id, each.text, each.package, above)]
        if ids:
            raise ForeignContentError(
                f"the package root `{'.'.join(package)}` lies below `{above}`, where other rules are installed "
                f"({shown_ids(ids[:1])}): nothing was changed; choose another package root, or uninstall those rules",
                tuple(ids),
            )


def _refuse_resources_above(opa: OpaClient, place: tuple[str, ...], deadline: float | None) -> None:
    """Refuse a place within a resource type's document below another data root."""
    for length in range(2, len(place) + 1):
        above = reference(place[:length])
        if is_pushed(opa, place[:length], deadline=deadline):
            raise ForeignContentError(
                f"`{reference(place)}` lies in the resources that a bridge has pushed to `{above}`: nothing was "
                "changed; choose another root",
                (above,),
            )


def _refuse_resources_within(
    opa: OpaClient, package: tuple[str, ...], types: Iterable[str], deadline: float | None
) -> None:
    """Refuse a package root without rules that is a data root with pushed resources."""
    if _permitted(lambda: opa.kind(package, deadline=deadline), _QUERY) is None:
        return
    for type_ in dict.fromkeys((*types, *RESOURCE_TYPES)):
        if is_pushed(opa, (*package, type_), deadline=deadline):
            id_ = reference((*package, type_))
            raise ForeignContentError(
                f"a bridge has pushed resources to `{id_}`, below the package root: nothing was changed; choose "
                "another package root",
                (id_,),
            )


def _data(
    opa: OpaClient, root: tuple[str, ...], hidden: Collection[str], deadline: float | None
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Return the names of pushed documents below the data root, and the paths of all other data by reference."""
    kind = _permitted(lambda: opa.kind(root, deadline=deadline), _QUERY)
    if kind is None:
        return (), {}
    if kind != "object":
        return (), {reference(root): root}
    documents, data = [], {}
    for name in opa.names(root, deadline=deadline):
        if name in hidden:
            continue
        if _SIMPLE.fullmatch(name) and is_pushed(opa, (*root, name), deadline=deadline):
            documents.append(name)
        else:
            data[reference((*root, name))] = (*root, name)
    return tuple(documents), data


def is_pushed(opa: OpaClient, path: tuple[str, ...], *, deadline: float | None = None) -> bool:
    """Return whether a document exists and has the pushed resources of a type."""
    state = opa.get_data((*path, "state"), deadline=deadline)
    try:
        return state is not ABSENT and TypeState.read(path[-1], state) is not None
    except UnsupportedLayoutError:
        return True
    except InvalidResponseError:
        return False


def _reaches(policy: StoredPolicy, place: tuple[str, ...]) -> bool:
    """Return whether a module's package is in a place, or one of its rules is, or may be, a part of it."""
    if _is_below(policy.package, place):
        return True
    return any(_is_below(rule, place) or _is_below(place, rule) for rule in policy.rules)


def _is_below(path: tuple[str, ...], above: tuple[str, ...]) -> bool:
    return path[: len(above)] == above
