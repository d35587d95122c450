"""What the demo shows on a terminal: acts with a clock, live bars, a falling loss. Plain lines when it is no terminal."""

import os
import shutil
import sys
import time

BLOCKS = " .:-=+*#%@" if "UTF-8" not in (sys.stdout.encoding or "").upper() else " ▁▂▃▄▅▆▇█"


class Console:
    def __init__(self, quiet=False):
        self.out = sys.stderr if quiet else sys.stdout
        self.live = self.out.isatty()
        self.colour = self.live and "NO_COLOR" not in os.environ
        self.start = time.monotonic()
        self.acts = []
        self.pending = False

    def paint(self, text, code):
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def clock(self):
        seconds = int(time.monotonic() - self.start)
        return f"{seconds // 60:02d}:{seconds % 60:02d}"

    def act(self, title):
        self._end_act()
        self.acts.append({"title": title, "began": time.monotonic()})
        self.line("")
        self.line(self.paint(f"{self.clock()}  {len(self.acts)}. {title}", "1"))

    def _end_act(self):
        if self.acts and "seconds" not in self.acts[-1]:
            self.acts[-1]["seconds"] = time.monotonic() - self.acts[-1]["began"]

    def finish(self):
        self._end_act()
        return [{"title": a["title"], "seconds": a["seconds"]} for a in self.acts]

    def line(self, text="", code=None):
        if self.pending:
            self.out.write("\r\x1b[2K")
            self.pending = False
        self.out.write((self.paint(text, code) if code else text) + "\n")
        self.out.flush()

    def say(self, text):
        self.line("       " + text)

    def good(self, text):
        self.line("       " + self.paint(text, "32"))

    def bad(self, text):
        self.line("       " + self.paint(text, "31"))

    def bar(self, label, share, text=""):
        """A live bar that the next line replaces; nothing where there is no terminal."""
        if not self.live:
            return
        width = max(10, min(40, shutil.get_terminal_size().columns - len(label) - len(text) - 16))
        full = int(width * max(0.0, min(1.0, share)))
        self.out.write(f"\r\x1b[2K       {label} [{'#' * full}{'.' * (width - full)}] {text}")
        self.out.flush()
        self.pending = True

    def sparkline(self, values, width=60):
        if not values:
            return ""
        width = min(width, len(values))
        buckets = [values[i * len(values) // width:(i + 1) * len(values) // width] for i in range(width)]
        means = [sum(b) / len(b) for b in buckets if b]
        top = max(means) or 1.0
        return "".join(BLOCKS[min(len(BLOCKS) - 1, int(v / top * (len(BLOCKS) - 1) + 0.5))] for v in means)
