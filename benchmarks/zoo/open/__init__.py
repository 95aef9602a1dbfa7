"""Eight workflows that were written by people who have read the trace contract and no rule."""

from benchmarks.zoo.open.analyst import WORKFLOW as ANALYST
from benchmarks.zoo.open.buyer import WORKFLOW as BUYER
from benchmarks.zoo.open.catalogue import WORKFLOW as CATALOGUE
from benchmarks.zoo.open.claims import WORKFLOW as CLAIMS
from benchmarks.zoo.open.concierge import WORKFLOW as CONCIERGE
from benchmarks.zoo.open.minutes import WORKFLOW as MINUTES
from benchmarks.zoo.open.support import WORKFLOW as SUPPORT
from benchmarks.zoo.open.tickets import WORKFLOW as TICKETS

WORKFLOWS = (SUPPORT, CLAIMS, TICKETS, BUYER, CONCIERGE, ANALYST, MINUTES, CATALOGUE)
