"""`jwt-bridge list`: the ids of the pushed resources that a token lets its bearer access."""

from typing import Annotated

import typer

from bridge.cli.bearer_options import BearerOptions, warn_of_lookalikes
from bridge.cli.exit import Exit, end, reported_errors
from bridge.cli.options import OpaOptions
from bridge.cli.rule_set_options import RuleSetOptions, TokenRulesOption
from bridge.cli.terminal import complain, draw
from bridge.cli.token_options import VerifierOptions
from bridge.client import PolicyBridge
from bridge.engines import OpaEngine
from bridge.errors import CursorExpiredError, InvalidTokenError
from bridge.escapes import escaped_json, shown
from bridge.strict_json import encode

_AT_ONCE = 10_000


def list_(
    *,
    context: typer.Context,
    subject: BearerOptions,
    type_: Annotated[str, typer.Option("--type", metavar="NAME", help="The resource type, such as devices.")],
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="NUMBER", min=1, help="How many ids at most; without it, all.")
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="CURSOR", help="Go on where a list with --limit ended.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write each id as a JSON string.")] = False,
    opa: OpaOptions,
    rules: RuleSetOptions,
    tokens: VerifierOptions,
    token_rules: TokenRulesOption = False,
) -> None:
    r"""List the ids of the pushed resources that a token lets its bearer access.

    One id stands on a line, in the order of code points; an odd one, such as one with a line feed, as a JSON string.
    The OPA must have the rules (`jwt-bridge install`) and the resources (`jwt-bridge push`). Where more are left than
    --limit allows, the cursor for --after is told on standard error.

    Exit status: 0 when ids were listed, 1 when nothing is allowed, 2 for misuse or a token that is not valid, 3 when
    OPA failed, or the resources changed in the middle of the list.

    Examples:
      jwt-bridge list --token-file agent.jwt --key public.pem \
        --audience https://cobrowse.io --issuer LICENSE-KEY \
        --type devices --opa-url http://127.0.0.1:8181
    """
    with reported_errors():
        try:
            rule_set = rules.asked(tokens, token_rules=token_rules)
            whose, verifier = subject.read(context, tokens, rule_set.token)
            with PolicyBridge(OpaEngine(opa.client(), rule_set), verifier=verifier) as bridge:
                claims = whose if verifier is None else bridge.verify(whose)
                left, told, at_least = limit, 0, None
                while True:
                    at_once = _AT_ONCE if left is None else min(left, _AT_ONCE)
                    listed = bridge.list_allowed(whose, type_, limit=at_once, after=after, at_least=at_least)
                    if listed.decision is not None:
                        complain(f"nothing is allowed: {listed.decision.reason}")
                        raise typer.Exit(Exit.DENIED)
                    if listed.everything and told == 0:
                        if isinstance(claims, dict) and rule_set.policy.claim not in claims:
                            warn_of_lookalikes(claims, rule_set.policy)
                        complain(
                            f"the policy demands nothing: everything of `{shown(type_)}` is allowed, pushed or not"
                        )
                    if listed.ids and json:
                        lines = (escaped_json(encode(id_, what="id")) for id_ in listed.ids)
                        typer.echo(b"\n".join(lines))
                    elif listed.ids:
                        draw("\n".join(map(shown, listed.ids)))
                    told += len(listed.ids)
                    left = None if left is None else left - len(listed.ids)
                    after, at_least = listed.cursor, listed.revision
                    if listed.complete or left == 0:
                        break
        except InvalidTokenError as error:
            subject.refuse(error)
        except CursorExpiredError as error:
            end(str(error), Exit.FAULT)
        if after is not None:
            complain(f"there are more: --after {after}")
        if not told:
            complain("no pushed resource is allowed")
            raise typer.Exit(Exit.DENIED)
