"""A LangChain tool that deletes rows, and refuses unless a person approved exactly these.

    python example.py RECEIPT TRUST.toml APPROVER ARGUMENTS.json
"""

import json
import sys
from pathlib import Path
from typing import Optional

from countersign_gate import gated
from langchain_core.tools import tool
from pydantic import BaseModel, ConfigDict


class Rows(BaseModel):
    """Strict: nothing is dropped or converted on the way from the model to the check."""

    model_config = ConfigDict(extra="forbid", strict=True)
    table: str
    filter: dict
    limit: Optional[int]


def make_tool(receipt_of, journal="deleted.txt", **trust):
    """`receipt_of` finds the receipt for the arguments; `trust` goes to `require_approval`."""

    @tool(args_schema=Rows)  # outside; the gate is inside, next to what it guards
    @gated(receipt_of, **trust)
    def delete_rows(table: str, filter: dict, limit: Optional[int]) -> str:
        """Delete the rows of a table that a filter selects."""
        # Your effect goes here. This one leaves a trace, so that you can see whether it ran.
        with Path(journal).open("a", encoding="utf-8") as trace:
            trace.write(json.dumps([table, filter, limit]) + "\n")
        return f"deleted rows of {table}"

    return delete_rows


if __name__ == "__main__":
    receipt, trust_file, approver, arguments = sys.argv[1:]
    delete_rows = make_tool(lambda _: receipt, config=trust_file, approver=approver)
    print(delete_rows.invoke(json.loads(Path(arguments).read_text(encoding="utf-8"))))
