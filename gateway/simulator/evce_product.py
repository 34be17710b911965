"""The EVCE product as a function from request to answer: authentication, permissions, resources.

Order of the checks: path under /api/v2, token, permission, existence, body.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Literal

from gateway.simulator.commands import CommandDesk
from gateway.simulator.dialect import Dialect
from gateway.simulator.dialect_desc import DescDialect
from gateway.simulator.dialect_nested import NestedDialect
from gateway.simulator.equipment import Reduction, Zone
from gateway.simulator.evce_routes import FORBIDDEN, ROUTES, Call
from gateway.simulator.exchange import Answer, BadBodyError, Request
from gateway.simulator.sessions import (
    CODE_BAD_REQUEST,
    CODE_NO_PERMISSION,
    CODE_NOT_FOUND,
    Accounts,
    refusal,
)
from gateway.simulator.site import Site
from gateway.simulator.stores import Stores

BASE = "/api/v2"
DIALECTS: dict[str, Callable[[], Dialect]] = {"desc": DescDialect, "nested": NestedDialect}


class EvceProduct:
    """One EVCE. `apply_writes` off makes PUT answer as always and change nothing (a fault to inject)."""

    site: Site
    accounts: Accounts
    stores: Stores
    desk: CommandDesk
    dialect: Dialect

    def __init__(self, site: Site, accounts: Accounts, dialect: Literal["desc", "nested"]) -> None:
        self.site = site
        self.accounts = accounts
        self.stores = Stores()
        self.desk = CommandDesk(site, self.stores)
        self.dialect = DIALECTS[dialect]()
        self.forbidden: list[str] = []
        self.apply_writes = True

    def handle(self, request: Request, now: float, wall: float) -> Answer:
        """Answers one request at the model time `now` while the product's clock shows `wall`."""
        self.site.advance(now)
        if request.path != BASE and not request.path.startswith(BASE + "/"):
            return Answer(404)
        path = request.path.removeprefix(BASE)
        try:
            if (request.method, path.removesuffix("/")) == ("POST", "/login/login"):
                return self.accounts.login(Call(request, [], now, wall).body(), now, wall)
            if not self.accounts.check(request.authorization, now, wall):
                return Answer(401)
            return self._authorised(path, request, now, wall)
        except BadBodyError as error:
            return refusal(400, CODE_BAD_REQUEST, str(error))
        except KeyError:
            return refusal(404, CODE_NOT_FOUND, "the requested resource does not exist")

    def _authorised(self, path: str, request: Request, now: float, wall: float) -> Answer:
        if any(fnmatchcase(path.removesuffix("/"), glob.removesuffix("/")) for glob in self.forbidden):
            return refusal(403, CODE_NO_PERMISSION, "no permission to access the resource")
        found = ROUTES.find(request.method, path)
        if found is not None:
            handler, numbers = found
            return handler(self, Call(request, numbers, now, wall))
        if FORBIDDEN.find(request.method, path) is not None:
            return refusal(403, CODE_NO_PERMISSION, "no permission to access the resource")
        return refusal(404, CODE_NOT_FOUND, "the requested resource does not exist")

    def set_reduction(self, zone: Zone, reduction: Reduction, now: float, wall: float) -> None:
        """Puts a reduction in force; its end is on the product's clock."""
        due = None if reduction.until_s is None else now + reduction.until_s - wall
        self.site.set_reduction(zone, reduction, due)
