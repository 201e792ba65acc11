"""Dashboards as files: names instead of ids, so that a board moves between projects and can be kept beside code.

>>> from cekura_dashboards.boards import read_board
>>> read_board('{"name": "Latency", "widgets": [{"name": "Calls", "chart_type": "stat"}]}').name
'Latency'
"""

from cekura_dashboards.boards.apply import AppliedBoard, BoardPlan, PlannedCall, apply_board, plan_board, undo_board
from cekura_dashboards.boards.board import Board, BoardRefused, export_board, read_board

__all__ = [
    "AppliedBoard",
    "Board",
    "BoardPlan",
    "BoardRefused",
    "PlannedCall",
    "apply_board",
    "export_board",
    "plan_board",
    "read_board",
    "undo_board",
]
