"""The truth about the flows of the sample `names`.

In and out as in the lab's `truth`. Rows say in words what each flow is there for (`cause`), and its kind as the scene calls it. The
page that blocks is made by a server: the box knows nothing of it.
"""
import truth

BLOCK_PAGE = dict(truth.seen("http_block", ["http_block"], "block_page"), trigger="http_host")


def describe(story, vantage):
    flow = story.flow
    row = dict(truth.describe(story, vantage), kind=flow["kind"], cause=flow["cause"])
    return dict(row, **BLOCK_PAGE) if flow.get("asks") == "/blocked" else row


def rows(scene, played, log):
    return [describe(story, vantage) for story in truth.stories(scene, played, log) for vantage in ("client", "server")]


surprises = truth.surprises
