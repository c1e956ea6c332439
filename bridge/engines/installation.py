"""Install rules on an OPA and uninstall them, so that no bridge ever decides by a mixture of two releases.

The module with the fingerprint is removed first and written last; see docs/decisions/installing.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Final

from bridge.engines.inventory import (
    Inventory,
    chosen,
    modules_of,
    not_there,
    owned,
    owner,
    refuse_unremovable,
    shown_ids,
    take,
)
from bridge.errors import EngineError, ForeignContentError, OpaStatusError, RulesMismatchError, RulesNotInstalledError
from bridge.opa import OpaClient
from bridge.rendering import RuleSet, module_paths, render, settings_path
from bridge.store.state import reference
from bridge.strict_json import Absent

_LOG: Final = logging.getLogger("bridge")


class InterferenceError(EngineError):
    """Somebody else changes the same place at the same time."""


class Installation:
    """Installs the modules of a rule set on an OPA, and uninstalls them.

    Args:
        opa: The server.
        rule_set: The rule set.
    """

    def __init__(self, opa: OpaClient, rule_set: RuleSet) -> None:
        self._opa = opa
        self._rule_set = rule_set
        self._package = tuple(rule_set.package_root.split("."))
        self._root = tuple(rule_set.data_root.split("."))
        self._settings = settings_path(rule_set)
        # Each module after its imports; modules of other settings come before the last, which imports all.
        order = [module.path for module in render(rule_set)]
        self._order = [*order[:-1], *sorted(module_paths(rule_set) - set(order)), order[-1]]

    def install(self, check: Callable[[], object], *, replace: Collection[str] = ()) -> None:
        """Replace the installed modules of a bridge by these, unless these are there already.

        Args:
            check: Queries the rules, and raises if they do not respond correctly; it must not install anything.
            replace: Ids of foreign modules and data to remove: some of `ForeignContentError.ids`.

        Raises:
            ForeignContentError: There are foreign modules or data that `replace` does not name; nothing was changed.
            OwnedByBundleError: A bundle owns the place; nothing was changed.
            EngineError: OPA refused, or does not respond correctly. The text says whether the rules from before are
                back; if they are not, no bridge accepts the rules that are there.
        """
        self._opa.require_version((*self._package, "answer"))
        modules = {module.path: module.text for module in render(self._rule_set)}
        there = take(self._opa, self._rule_set)
        foreign = chosen(there.ids, replace)
        self._refuse_foreign(there, foreign)
        refuse_unremovable(there, foreign)
        # A second install with the same options names what the first one has removed, so this is not an error.
        if missing := not_there(there.ids, replace):
            _LOG.warning(
                "nothing foreign is called %s here, so that was not replaced: `jwt-bridge doctor` shows the names",
                shown_ids(missing),
            )
        if there.modules == modules and not foreign:
            check()
            return
        self._remove_fingerprint(there)
        removed: list[str] = []
        try:
            self._exchange(there, modules, foreign, removed)
            self._check(check, modules)
        except InterferenceError as interference:
            self._remove_any_fingerprint(interference)
            raise
        except BaseException as error:
            self._put_back(there.modules, error, removed)
            raise

    def uninstall(self, *, deadline: float | None = None) -> tuple[str, ...]:
        """Remove the modules and the pushed resources; if one cannot be removed, go on with the others.

        Args:
            deadline: Seconds for each call, in place of the client's.

        Returns:
            The ids of the foreign modules and data, which remain.

        Raises:
            OwnedByBundleError: A bundle owns the place; nothing was changed.
            EngineError: OPA could not be reached, or refused: this is the first fault, and something may be left.
        """
        there = take(self._opa, self._rule_set, deadline=deadline, is_for_removal=True)
        faults: list[EngineError] = []

        def attempt(remove: Callable[..., object], *arguments: object) -> None:
            try:
                remove(*arguments, deadline=deadline)
            except EngineError as fault:
                faults.append(fault)

        if self._settings in there.modules:
            attempt(self._opa.delete_policy, self._settings)
        # If the fingerprint may still be there, the others stay: a bridge accepts them, so they must be complete.
        for path in [] if faults else self._removal(there.modules):
            attempt(self._opa.delete_policy, path)
        for name in there.documents:
            attempt(self._opa.delete_data, (*self._root, name))
        left = there.ids
        if not faults and not there.data:
            rest = self._opa.get_data(self._root, deadline=deadline)
            if rest == {}:
                attempt(self._opa.delete_data, self._root)
            elif not isinstance(rest, Absent) and not there.foreign:
                left = (reference(self._root),)
        if faults:
            raise faults[0]
        return left

    def _refuse_foreign(self, there: Inventory, replace: Collection[str]) -> None:
        left = tuple(id_ for id_ in there.ids if id_ not in replace)
        if left:
            raise ForeignContentError(
                f"modules or data of others are in the place of the rules (`data.{self._rule_set.package_root}`) "
                f"or of the resources (`data.{self._rule_set.data_root}`): {shown_ids(left)}; nothing was changed: "
                "choose other roots, or have exactly these removed (--replace ID, once for each)",
                left,
            )

    def _remove_fingerprint(self, there: Inventory) -> None:
        """Remove the module with the fingerprint; put it back if the removal failed or may have failed."""
        try:
            self._opa.delete_policy(self._settings)
        except OpaStatusError as refused:
            bundle = owner(refused)
            raise (refused if bundle is None else owned(self._rule_set.package_root, bundle)) from None
        except BaseException as error:
            self._put_back(there.modules, error)
            raise

    def _remove_any_fingerprint(self, error: EngineError) -> None:
        try:
            self._opa.delete_policy(self._settings)
        except EngineError as fault:
            left = (
                f"the fingerprint may be there, and could not be removed ({fault}): remove the module {self._settings}"
            )
            error.args = (f"{error}; but {left}",)

    def _check(self, check: Callable[[], object], modules: Mapping[str, str]) -> None:
        """Query the rules; if they are not the uploaded ones any more, somebody else has changed them."""
        try:
            check()
        except (RulesMismatchError, RulesNotInstalledError):
            self._refuse_interference(modules)
            raise

    def _exchange(self, there: Inventory, modules: Mapping[str, str], foreign: set[str], removed: list[str]) -> None:
        """Remove what does not belong, and upload what is missing, the fingerprint last; note removed ids."""
        for id_ in foreign & there.data.keys():
            self._opa.delete_data(there.data[id_], quoted=True)
            removed.append(id_)

        def remove(id_: str) -> None:
            self._opa.delete_policy(id_, quoted=True)
            removed.append(id_)

        # Foreign modules that may hold a fingerprint come first, for the same reason.
        self._all(remove, [id_ for id_ in there.foreign if id_ in foreign])
        others = {path: text for path, text in modules.items() if path != self._settings}
        self._replace(there.modules, others)
        self._refuse_interference(others)
        self._upload({self._settings: modules[self._settings]})
        self._refuse_interference(modules)

    def _removal(self, paths: Collection[str]) -> list[str]:
        """Return the paths except that of the fingerprint, each before the imports of its module."""
        return [path for path in reversed(self._order) if path in paths and path != self._settings]

    def _replace(self, there: Mapping[str, str], modules: Mapping[str, str]) -> None:
        """Upload modules, without the fingerprint, in place of those that are there.

        New modules do not overwrite old ones: OPA would refuse one without a rule that an old one still calls. A module
        that is there already stays, so that several processes may install the same rules at the same time.
        """
        kept = {path: text for path, text in there.items() if modules.get(path) == text}
        removed = self._removal(there)
        if len(kept) < len(removed):
            self._all(self._opa.delete_policy, removed)
            kept = {}
        self._upload({path: text for path, text in modules.items() if path not in kept})

    def _upload(self, modules: Mapping[str, str]) -> None:
        """Upload modules, each after its imports, even if an older release had another order."""
        self._all(
            lambda path: self._opa.put_policy(path, modules[path]), [path for path in self._order if path in modules]
        )

    def _all(self, change: Callable[[str], object], ids: list[str]) -> None:
        """Change these modules in this order; repeat those that OPA refuses because of another one."""
        while ids:
            rejected = {}
            for id_ in ids:
                try:
                    change(id_)
                except OpaStatusError as refused:
                    if (bundle := owner(refused)) is not None:
                        raise owned(self._rule_set.package_root, bundle) from None
                    if refused.status != HTTPStatus.BAD_REQUEST:
                        raise
                    rejected[id_] = refused
            if len(rejected) == len(ids):
                raise rejected[ids[0]]
            ids = list(rejected)

    def _refuse_interference(self, modules: Mapping[str, str]) -> None:
        there = take(self._opa, self._rule_set)
        if there.modules != modules or there.ids:
            raise self._interference()

    def _interference(self) -> InterferenceError:
        return InterferenceError(
            f"somebody else changes what lies in `data.{self._rule_set.package_root}` or "
            f"`data.{self._rule_set.data_root}` at the same time, or several OPAs answer at this address: no rules are "
            "left there that a bridge believes; install again when nobody else does, at the address of one OPA"
        )

    def _modules(self) -> dict[str, str]:
        return modules_of(self._opa.list_policies(), self._rule_set)

    def _put_back(self, before: Mapping[str, str], error: BaseException, removed: Collection[str] = ()) -> None:
        """Put back the modules from before, and add to the error whether they are back, and what was removed."""
        others = {path: text for path, text in before.items() if path != self._settings}
        try:
            # There is no fingerprint while anything else changes, and it comes only to these modules.
            self._opa.delete_policy(self._settings)
            self._replace(self._modules(), others)
            if self._modules() != others:
                raise self._interference()
            self._upload({path: text for path, text in before.items() if path == self._settings})
            if self._modules() != before:
                raise self._interference()
        except EngineError as fault:
            if isinstance(fault, InterferenceError):
                self._remove_any_fingerprint(fault)
            outcome = f"and what was there before could not be put back ({fault}): install again"
        else:
            outcome = "what was there before is back" if before else "nothing of the rules is left there"
        if removed:
            outcome += f"; what was to be replaced is gone: {shown_ids(removed)}"
        if isinstance(error, EngineError):
            error.args = (f"{error}; {outcome}", *error.args[1:])
        else:
            _LOG.warning("the install was broken off; %s", outcome)
