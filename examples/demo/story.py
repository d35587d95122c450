"""The demo's story: drives the real programs through their --json, shows what happens, and keeps everything in out/.

Nothing here computes a result: every figure is what a program said, and the accuracy is counted from predictions that came
back from an inference job on the network.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import time

import safetensors_lite
from console import Console
from page import crn, render

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build/release/bin"
OUT = ROOT / "out"
NET = OUT / "devnet"
DIGITS = ROOT / "examples/digits"
HOLDERS = {"ada": 50, "bo": 30, "cy": 20}


class Failed(Exception):
    """A program ended with an error; its own words, and where to read more."""


class Network:
    """The command line, seen from Python."""

    def __init__(self):
        self.environment = dict(os.environ, CAIRN_CONFIG=str(NET / "requester.yaml"), CAIRN_NET=str(NET))

    def command(self, *words):
        return [str(BIN / "cairn"), *map(str, words), "--json"]

    def run(self, *words, check=True, watch=False):
        """The JSON object that a command prints. `watch` lets its live bar through to the terminal."""
        done = subprocess.run(self.command(*words), cwd=ROOT, env=self.environment, stdout=subprocess.PIPE,
                              stderr=None if watch else subprocess.PIPE, text=True)
        if done.returncode != 0 and check:
            raise Failed(f"`cairn {' '.join(map(str, words))}` ended with {done.returncode}\n{(done.stderr or '').strip()}")
        lines = done.stdout.strip().splitlines()
        return json.loads(lines[-1]) if lines else {}

    def balance(self, account):
        """All that an account has: what it can spend, and what is locked in its name."""
        view = self.run("wallet", "show", account)
        return sum(int(view[part]["pebbles"]) for part in ("balance", "stake", "bond", "unbonding"))


def verify(receipt, genesis):
    done = subprocess.run([str(BIN / "cairn-verify"), "receipt", str(receipt), "--genesis", str(genesis), "--json"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return done.returncode, (json.loads(done.stdout.strip().splitlines()[-1]) if done.stdout.strip() else {})


def explanation(said):
    """One line for each step of a check, whatever their number."""
    return [f"{step['what']}: {step['found']}" if isinstance(step, dict) else str(step) for step in said.get("findings", [])]


def tampered(receipt, where):
    """The same receipt with one bit of one byte changed."""
    data = bytearray(receipt.read_bytes())
    data[int(where * (len(data) - 1))] ^= 1
    path = receipt.with_suffix(".tampered")
    path.write_bytes(bytes(data))
    return path


class Story:
    def __init__(self, console, validators=0):
        self.show = console
        self.validators = validators
        self.net = Network()
        self.data = {"curves": [], "receipts": [], "payments": [], "balances": []}
        self.summary = {}

    # 1 -----------------------------------------------------------------------------------------------------------------
    def devnet(self):
        self.show.act("A network starts on this machine")
        up = self.net.run("net", "up", "--dir", NET, "--validators", self.validators, "--providers", 2, "--verifiers", 1, "--price", "10000 CRN", "--price", "18000 CRN",
                          "--provider-worker", f"2={BIN / 'cairn-cheating-worker'}")
        self.genesis = pathlib.Path(up["genesis"])
        self.members = {member["name"]: member for member in up["accounts"]}
        self.people = {name: member["account"] for name, member in self.members.items() if name != "faucet" and member.get("account")}
        for name, member in self.members.items():
            process = f"process {member['pid']}" if "pid" in member else "no process, a key"
            self.show.say(f"{name:<12} {process:<18} account {(member.get('account') or '-')[:16]}")
        for offer in self.net.run("offer", "list")["offers"]:
            self.show.say(f"{self.name(offer['owner'])} offers its machine at {offer['price_per_hour']['text']} an hour of reference speed "
                          f"({offer['price']['pebbles']} pebbles per 10^9 reference s)")

    # 2 -----------------------------------------------------------------------------------------------------------------
    def assets(self):
        self.show.act("A program and a dataset become assets with three holders")
        shares = []
        for name, parts in HOLDERS.items():
            wallet = self.net.run("wallet", "new", "--key", NET / f"{name}.key")
            self.people[name] = wallet["account"]
            shares += ["--holder", f"{wallet['account']}={parts}"]
        self.program = self.net.run("asset", "publish", DIGITS / "train.pt2", "--kind", "program", "--title", "digits MLP",
                                    "--price", "0.3 CRN", *shares)
        self.dataset = self.net.run("asset", "publish", DIGITS / "train.safetensors", "--kind", "dataset", "--tensor", "x", "--title",
                                    "UCI digits, 1,437 rows", "--price", "0.1 CRN", *shares)
        for asset, title in ((self.program, "program"), (self.dataset, "dataset")):
            self.show.say(f"{title} {asset['asset'][:16]}: {asset['price']['text']} a use, to " +
                          ", ".join(f"{n} {s} %" for n, s in HOLDERS.items()))
        if self.program["removed"]:
            self.show.say("left out of what is published: " + ", ".join(self.program["removed"]))
        self.use = ["--asset", f"program={self.program['asset']}", "--asset", f"data={self.dataset['asset']}"]
        self.before = {name: self.net.balance(account) for name, account in self.people.items()}

    # 3, 4 --------------------------------------------------------------------------------------------------------------
    def job(self, file, title, *options):
        return self.net.run("job", "run", file, "--out", OUT / title, *options, watch=self.show.live)

    def quote(self):
        self.show.act("A training job is quoted; the price will stand in escrow")
        quoted = quote = self.net.run("job", "quote", DIGITS / "job.yaml", *self.use)
        self.show.say(f"at most {quote['total']['text']} = reward {quote['reward']['text']} + audits {quote['audits']['text']} "
                      f"+ assets {quote['assets']['text']} + deposit {quote['deposit']['text']} (comes back)")
        self.show.say(f"{quoted['steps']} steps of {quoted['step_work_ns']} reference ns, {quote['segments']} segments, "
                      f"{quote['checks']} of them drawn for a check")
        for offer in quoted["offers"]:
            self.show.say(f"offer of {self.name(offer['owner'])}: {offer['reward']['text']} for the work; the cheapest is matched")

    def honest(self):
        self.show.act("The honest provider trains, is checked, and is paid")
        first = self.job(DIGITS / "job.yaml", "honest", *self.use)
        self.first = first
        self.tell_losses("honest provider", "--stone", first)
        checks = [check for attempt in first["attempts"] for check in attempt["checks"]]
        for check in checks:
            self.show.say(f"segment {check['segment'] + 1} was drawn: {self.name(check['verifier'])} ran it again and {check['did']}")
        self.show.good(f"{first['state']} ({first['audit']}): {self.name(first['provider'])} gets {first['paid']['provider']['text']}; "
                       f"{first['seconds']:.1f} s from submit to result")
        predicted = self.job(DIGITS / "predict.yaml", "predictions", "--weights", first["files"]["model"])
        logits = safetensors_lite.read(predicted["files"]["outputs"])["output_0"]
        labels = safetensors_lite.read(DIGITS / "test.safetensors")["y"]
        matches = sum(row.index(max(row)) == label for row, label in zip(logits, labels, strict=True))
        self.summary.update(accuracy=matches / len(labels), steps=first["steps"], honest_settled=first["state"] == "settled",
                            submit_to_result_seconds=round(first["seconds"], 3))
        self.show.good(f"held-out digits right: {matches} of {len(labels)} = {matches / len(labels):.4f}, "
                       f"predicted by an inference job on the network ({predicted['state']}, {predicted['audit']})")
        self.predicted = predicted

    def tell_losses(self, label, colour, result):
        losses = result["losses"]
        self.data["curves"].append({"label": label, "colour": colour, "losses": losses})
        self.show.say(f"loss {losses[0]:.3f} {self.show.sparkline(losses)} {losses[-1]:.3f}")

    def name(self, account):
        return next((n for n, a in self.people.items() if a == account), "the chain" if not account.strip("0") else account[:12])

    # 5 -----------------------------------------------------------------------------------------------------------------
    def cheat(self):
        self.show.act("A second provider undercuts the price, and lies in one number of one step")
        liar = self.members["provider-2"]
        config = pathlib.Path(liar["config"])
        lines = ["price: 4000 CRN" if line.startswith("price:") else line for line in config.read_text().splitlines()]
        config.write_text("\n".join(lines) + "\n")
        os.kill(liar["pid"], signal.SIGHUP)
        self.wait_for_price(liar["account"])
        second = self.job(DIGITS / "job.yaml", "cheated", "--policy", "all", "--seed", 8, *self.use)
        lie = next(attempt for attempt in second["attempts"] if attempt["outcome"] == "slashed")
        game = next(game for game in lie["games"] if game["winner"] == "challenger")
        for level in game["levels"]:
            self.show.say(f"{level['phase']:<9} {level['index'] + 1:>6,} of {level['count']:<8,} {level['of']}")
        number = next(level for level in reversed(game["levels"]) if level["phase"] == "element")
        self.show.bad(f"{self.name(game['provider'])} claims  {number['provider']}   ({number['provider_bits']})")
        self.show.good(f"{self.name(game['challenger'])} holds   {number['challenger']}   ({number['challenger_bits']})")
        self.show.say(f"the ledger recomputed that one block and found {game['found']}: {game['winner']} is right "
                      f"({game['moves']} moves, {game['move_bytes']:,} bytes)")
        slash = lie["slash"]
        self.slashed = int(slash["total"]["pebbles"])
        self.show.bad(f"slashed {crn(self.slashed)} CRN: burned {slash['burned']['text']}, to the requester {slash['requester']['text']}, "
                      f"to the challenger {slash['challenger']['text']}")
        self.tell_losses("the same job again, honestly", "--gold", second)
        self.show.good(f"the job reopened with its escrow; {self.name(second['provider'])} finished it: {second['state']} ({second['audit']})")
        self.second, self.game, self.number = second, game, number
        self.summary.update(cheat_caught=game["winner"] == "challenger" and game["provider"] == liar["account"]
                            and second["provider"] != liar["account"],
                            slashed_pebbles=self.slashed, requester_compensated_pebbles=int(slash["requester"]["pebbles"]))

    def wait_for_price(self, account):
        until = time.monotonic() + 30
        while time.monotonic() < until:
            offers = self.net.run("offer", "list")["offers"]
            if offers and min(offers, key=lambda o: int(o["price"]["pebbles"]))["owner"] == account:
                return
            time.sleep(0.1)
        raise Failed("provider-2 did not post its lower price within 30 s; its log is " + str(NET / "logs"))

    # 6 -----------------------------------------------------------------------------------------------------------------
    def receipts(self):
        self.show.act("Receipts are checked offline, and damaged ones refused")
        (OUT / "receipts").mkdir(parents=True, exist_ok=True)
        accepted = refused = 0
        for title, result in (("honest", self.first), ("predictions", self.predicted), ("cheated", self.second)):
            for number, path in enumerate(result["files"]["receipts"]):
                receipt = OUT / "receipts" / f"{title}-{number + 1}.cairn"
                shutil.copy(path, receipt)
                status, said = verify(receipt, self.genesis)
                accepted += status == 0
                if status != 0:
                    self.show.bad(f"{receipt.name}: {said}")
                    continue
                bad = tampered(receipt, 0.1 + 0.8 * (accepted / 10))
                status, _ = verify(bad, self.genesis)
                refused += status == 9
                self.show.good(f"{receipt.name:<22} {receipt.stat().st_size:>7,} bytes  accepted; one flipped bit: "
                               f"{'refused' if status == 9 else 'NOT REFUSED'}")
                bad.unlink()
                self.data["receipts"].append({"name": receipt.name, "bytes": receipt.stat().st_size,
                                              "explanation": explanation(said), "body": said})
        shutil.copy(self.first["files"]["model"], OUT / "model.safetensors")
        shutil.copy(self.genesis, OUT / "genesis.json")
        self.show.say(f"model: {OUT / 'model.safetensors'}")
        self.summary.update(receipts_verified=accepted, tampered_receipts_refused=refused)

    # 7 -----------------------------------------------------------------------------------------------------------------
    def balances(self):
        self.show.act("Who has what, and not a pebble is missing")
        for name, before in self.before.items():
            after = self.net.balance(self.people[name])
            self.data["balances"].append({"who": name, "before": before, "after": after})
            self.show.say(f"{name:<12} {crn(before):>18} -> {crn(after):>18} CRN   {'+' if after >= before else '-'}{crn(abs(after - before))}")
        changes = {b["who"]: b["after"] - b["before"] for b in self.data["balances"]}
        self.summary["royalties"] = {name: changes[name] for name in HOLDERS}
        self.show.say("royalties: " + ", ".join(f"{n} {crn(p)}" for n, p in self.summary["royalties"].items()) + " CRN")
        supply = self.net.run("node", "supply")
        self.summary["supply_conserved"] = supply["conserved"] is True
        self.data["conservation"] = f"All holdings together: {crn(supply['held']['pebbles'])} CRN; the genesis made {crn(supply['genesis']['pebbles'])} CRN."
        (self.show.good if supply["conserved"] else self.show.bad)(self.data["conservation"])
        paid = {}  # equal lines of one job as one
        for title, result in (("training", self.first), ("inference", self.predicted), ("second training", self.second)):
            for line in result["payments"]:
                if line["from"] != line["to"]:
                    key = (self.name(line["from"]), self.name(line["to"]), f"{line['what'].replace('_', ' ')}, {title}")
                    paid[key] = paid.get(key, 0) + int(line["pebbles"])
        self.data["payments"] = [{"from": payer, "to": payee, "pebbles": pebbles, "what": what}
                                 for (payer, payee, what), pebbles in paid.items() if pebbles]

    def keep(self):
        game = self.game
        self.data.update(summary=self.summary, acts=self.show.finish(), machine=platform.platform() + f", {os.cpu_count()} cores",
                         when=time.strftime("%Y-%m-%d %H:%M"), genesis=self.net.run("node", "status")["genesis"],
                         dispute={"levels": game["levels"],
                                  "provider_value": self.number["provider"], "challenger_value": self.number["challenger"],
                                  "verdict": f"it found {game['found']}, so the {game['winner']} is right", "sentence": game["reason"]})
        (OUT / "demo.html").write_text(render(self.data), encoding="utf-8")
        (OUT / "story.json").write_text(json.dumps(self.data, indent=1))
        logs = OUT / "logs"
        shutil.copytree(NET / "logs", logs, dirs_exist_ok=True)


def main():
    arguments = argparse.ArgumentParser(prog="scripts/demo")
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--stay", action="store_true")
    arguments.add_argument("--validators", type=int, default=0)
    options = arguments.parse_args()
    show = Console()
    if NET.exists():
        subprocess.run([str(BIN / "cairn"), "net", "down", "--dir", str(NET)], capture_output=True)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    story = Story(show, options.validators)
    try:
        for act in (story.devnet, story.assets, story.quote, story.honest, story.cheat, story.receipts, story.balances, story.keep):
            act()
    except Failed as failed:
        show.bad(str(failed))
        show.say(f"next: the logs are in {NET / 'logs'}")
        if options.json:
            print(json.dumps({"error": {"code": "demo.failed", "text": str(failed), "next": f"read the logs in {NET / 'logs'}"}}), flush=True)
        return 1
    finally:
        if not options.stay:
            subprocess.run([str(BIN / "cairn"), "net", "down", "--dir", str(NET)], capture_output=True)
    show.line("")
    show.say(f"everything is in {OUT}; the whole story with pictures: {OUT / 'demo.html'}")
    if options.stay:
        show.line("")
        show.say(f"the devnet stays up. Three things to try (export CAIRN_CONFIG={NET / 'requester.yaml'}):")
        show.say("  build/release/bin/cairn job run examples/digits/job.yaml --seed 9")
        show.say("  build/release/bin/cairn offer list")
        show.say(f"  build/release/bin/cairn-verify receipt out/receipts/honest-1.cairn --genesis out/genesis.json")
        show.say(f"stop it:  build/release/bin/cairn net down --dir {NET}")
    if options.json:
        print(json.dumps(story.summary), flush=True)
    good = story.summary
    return 0 if good["honest_settled"] and good["cheat_caught"] and good["supply_conserved"] and good["accuracy"] >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
