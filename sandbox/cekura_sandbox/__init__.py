"""A local API that answers like Cekura's dashboards API, over generated calls.

Written from the documented contract only; it shares no code with the client that is tested against it.
"""

from cekura_sandbox.app import create_app
from cekura_sandbox.charts import ApiVariant

__all__ = ["ApiVariant", "create_app"]
