"""`jwt-bridge list`: list the ids of the pushed resources that a token lets its bearer access."""

from typing import Annotated

import typer

from bridge.cli.bearer_options import BearerOptions, warn_of_lookalikes
from bridge.cli.exit import Exit, end, reported_errors
from bridge.cli.options import OpaOptions
from bridge.cli.rule_set_options import RuleSetOptions, TokenRulesOption
from bridge.cli.terminal import print_error, print_styled
from bridge.cli.token_options import VerifierOptions
from bridge.client import PolicyBridge
from bridge.engines import OpaEngine
from bridge.errors import CursorExpiredError, InvalidTokenError
from bridge.escapes import escaped_json, shown
from bridge.strict_json import encode

_PAGE_SIZE = 10_000


def list_(
    *,
    context: typer.Context,
    bearer: BearerOptions,
    type_: Annotated[str, typer.Option("--type", metavar="NAME", help="The resource type, such as devices.")],
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="NUMBER", min=1, help="The largest number of ids; the default is all."),
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="CURSOR", help="Continue where a list with --limit ended.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print each id as a JSON string.")] = False,
    opa: OpaOptions,
    rules: RuleSetOptions,
    tokens: VerifierOptions,
    token_rules: TokenRulesOption = False,
) -> None:
    r"""List the ids of the pushed resources that a token lets its bearer access.

    The command prints one id per line, in the order of code points; an unusual one, such as one with a line feed, as a
    JSON string. The OPA server must have the rules (`jwt-bridge install`) and the resources (`jwt-bridge push`). If
    more ids follow than --limit allows, the command prints the cursor for --after on standard error.

    Exit status: 0 if ids were listed, 1 if nothing is allowed, 2 for a usage error or an invalid token, 3 if OPA failed
    or the resources changed during the list.

    Examples:
      jwt-bridge list --token-file agent.jwt --key public.pem \
        --audience https://cobrowse.io --issuer LICENSE-KEY \
        --type devices --opa-url http://127.0.0.1:8181
    """
    with reported_errors():
        try:
            rule_set = rules.queried_rule_set(tokens, token_rules=token_rules)
            token_or_claims, verifier = bearer.read(context, tokens, rule_set.token)
            with PolicyBridge(OpaEngine(opa.client(), rule_set), verifier=verifier) as bridge:
                claims = token_or_claims if verifier is None else bridge.verify(token_or_claims)
                left, count, at_least = limit, 0, None
                while True:
                    page_size = _PAGE_SIZE if left is None else min(left, _PAGE_SIZE)
                    page = bridge.list_allowed(token_or_claims, type_, limit=page_size, after=after, at_least=at_least)
                    if page.decision is not None:
                        print_error(f"nothing is allowed: {page.decision.reason}")
                        raise typer.Exit(Exit.DENIED)
                    if page.everything and count == 0:
                        if isinstance(claims, dict) and rule_set.policy.claim not in claims:
                            warn_of_lookalikes(claims, rule_set.policy)
                        print_error(
                            f"the policy demands nothing: every resource of `{shown(type_)}` is allowed, pushed or not"
                        )
                    if page.ids and json:
                        lines = (escaped_json(encode(id_, what="id")) for id_ in page.ids)
                        typer.echo(b"\n".join(lines))
                    elif page.ids:
                        print_styled("\n".join(map(shown, page.ids)))
                    count += len(page.ids)
                    left = None if left is None else left - len(page.ids)
                    after, at_least = page.cursor, page.revision
                    if page.complete or left == 0:
                        break
        except InvalidTokenError as error:
            bearer.exit_invalid_token(error)
        except CursorExpiredError as error:
            end(str(error), Exit.FAULT)
        if after is not None:
            print_error(f"more ids follow: continue with --after {after}")
        if not count:
            print_error("no pushed resource is allowed")
            raise typer.Exit(Exit.DENIED)
