"""What was checked of a dashboard as JUnit XML, which CI systems show.

Source: the schema that Jenkins documents for its JUnit plug-in: ``testsuites``, ``testsuite``, ``testcase``, and in it
``failure`` or ``error``.
"""

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from cekura_dashboards.text import UntrustedText

if TYPE_CHECKING:
    from cekura_dashboards.boards import AssertedBoard


def junit_xml(asserted: "AssertedBoard") -> str:
    """One test case for each expectation; what could not be checked is an error."""
    name = str.__str__(UntrustedText(asserted.name))
    counts = {
        "tests": str(len(asserted.checks)),
        "failures": str(len(asserted.failed)),
        "errors": str(len(asserted.untested)),
    }
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(suites, "testsuite", {"name": name, **counts})
    for check in asserted.checks:
        chart = str.__str__(UntrustedText(check.expectation.widget))
        case = ET.SubElement(
            suite, "testcase", {"classname": name, "name": f"{chart} {check.expectation.text}", "time": "0"}
        )
        if check.status == "ok":
            ET.SubElement(case, "system-out").text = check.text
        else:
            kind = "failure" if check.status == "fail" else "error"
            ET.SubElement(case, kind, {"message": check.text}).text = str(check)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=False) + "\n"
