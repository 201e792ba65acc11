"""Arguments of the tools that create and delete dashboards: each is the other's undo."""

from pydantic import Field, model_validator

from cekura_dashboards.api.filters import Filter, fault
from cekura_dashboards.arguments.references import DashboardId, ProjectId
from cekura_dashboards.arguments.widget import MAX_NAME, NewName
from cekura_dashboards.edits.request import MOST_WIDGETS, MOST_WIDGETS_UNDONE, CreatedWidget, restored_path
from cekura_dashboards.edits.restored import PlannedRequest, check_counts

CREATE, DELETE = "create_dashboard", "delete_dashboard"


class CreateDashboardRequest(PlannedRequest):
    name: NewName = Field(max_length=MAX_NAME)
    project_id: ProjectId | None = Field(default=None, description="default: CEKURA_PROJECT_ID, or the only one")
    filters: Filter | None = Field(default=None, description="hold for all its widgets; a date range above all")
    widgets: list[CreatedWidget] | None = Field(
        default=None, max_length=MOST_WIDGETS_UNDONE, json_schema_extra={"maxItems": MOST_WIDGETS}
    )
    copy_of: DashboardId | None = Field(default=None, description="copy this dashboard, into another project_id too")
    was: int | None = Field(
        default=None, json_schema_extra={"hidden": True}, description="the id of the deleted one that this restores"
    )

    @model_validator(mode="after")
    def _sensible(self) -> "CreateDashboardRequest":
        if not self.name.strip() and self.was is None:
            raise fault("name", "is empty; give the dashboard a name.")
        check_counts(self, widgets=self.widgets)
        return self

    def restores(self) -> str | None:
        return "was" if self.was is not None else restored_path("widgets", self.widgets)


class DeleteDashboardRequest(PlannedRequest):
    dashboard_id: DashboardId
