"""The folder that the README's reader sits in: what the README takes for granted, and a server where one is running by then."""
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(__file__).resolve().parent / "bin"
ADDRESS = "127.0.0.1:8080"
PATIENCE = 300
# Nobody waits for the real numbers, and nothing looks at what was learnt.
QUICKER = {
    "--scenes 2100": "--scenes 30",
    "steps = 200\n": "steps = 1\n[batch]\nsize = 1\n[fake_score]\nupdates = 1\n",
    '"steps": 200': '"steps": 1',
}
RECIPE = """
steps = 1
[batch]
size = 1
micro = 1
[fake_score]
updates = 1
[samples]
every = 0
rows = 1
"""


class Place:
    """In a temporary folder, until `leave`."""

    def __init__(self, npedit, readme):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="npedit-readme-"))
        self.npedit, self.quick_start = npedit, next(block for block in readme if block.runs)
        self.folder, self.own = self.work / "reader", self.work / "own"
        self.section, self.used = None, set()
        for folder in (self.folder, self.own / "recipes"):
            folder.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        for name in ("np-edit-zimage", "finetune-demo"):
            (self.own / f"recipes/{name}.toml").write_text(RECIPE)
        # An answer that is an error fails its command, as the reader would see.
        (self.own / ".curlrc").write_text("fail-with-body\nno-progress-meter\n")
        settings = {
            "SERVER__PORT": str(self.port), "FINETUNE__RECIPES_DIR": str(self.own / "recipes"),
            # The gate lets every adapter through: the README uses the one that was promoted.
            "FINETUNE__MARGIN": "-1.0", "FINETUNE__TYPE_MARGIN": "1.0", "FINETUNE__REGRESSION_EDITS": "2", "FINETUNE__MAX_HELD_OUT": "2",
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NPEDIT_", "HF_"))}
        self.environment = inherited | {f"NPEDIT__{name}": value for name, value in settings.items()} | {
            "PATH": f"{BIN}:{os.environ['PATH']}", "CURL_HOME": str(self.own), "NO_PROXY": "127.0.0.1,localhost",
            "NPEDIT_BINARY": npedit, "README_SERVER": str(self.own),
        }
        self.furnish()

    def furnish(self):
        """`photo.jpg`, `my-lora`, `mybundle` and the others that the README's commands speak of."""
        shutil.copy(ROOT / "examples/cat.jpg", self.folder / "photo.jpg")
        for name in ("dog.jpg", "desk.jpg"):
            shutil.copy(ROOT / "examples/cat.jpg", self.folder / name)
        adapter(self.folder / "my-lora")
        adapter(self.folder / "adapters/my-lora")
        shutil.copytree(ROOT / "assets/tiny", self.folder / "mybundle")
        scenes = self.folder / "labelled"
        subprocess.run([self.npedit, "world", "sample", scenes, "--count", "24"], check=True, capture_output=True, env=self.environment)
        rows = [json.loads(line) for line in (scenes / "instructions.jsonl").read_text().splitlines()]
        with zipfile.ZipFile(self.folder / "photos.zip", "w") as photos:
            photos.write(scenes / "instructions.jsonl", "rows.jsonl")
            for row in rows:
                photos.write(scenes / row["image"], row["image"])
        # Pictures that nothing was done to, which most people call no edit: a temperature can be fitted.
        labels = [{"reference": row["image"], "edited": row["image"], "instruction": row["instruction"], "expected": said}
                  for row, said in zip(rows, ["yes", *5 * ["no"]] * 4)]
        (scenes / "pairs.jsonl").write_text("".join(json.dumps(label) + "\n" for label in labels))
        for name, row in zip(("a.png", "b.png"), rows):
            shutil.copy(scenes / row["image"], scenes / name)

    def enter(self, section):
        """Each section is read for itself: nobody is asked for the key that another one made."""
        if section != self.section:
            self.stop_serving()
            self.section = section
            self.environment["NPEDIT__STORAGE__DATA_DIR"] = str(self.own / f"data-{section}")

    def keep(self, block):
        """What the reader is told to have in a file; a line more where there is one."""
        with open(self.folder / block.file, "a") as file:
            file.write(self.here(block.text))

    def here(self, text):
        """With this server's address, and less work."""
        for slow, quick in QUICKER.items():
            if slow in text:
                self.used.add(slow)
                text = text.replace(slow, quick)
        return text.replace(ADDRESS, f"127.0.0.1:{self.port}").replace("localhost:8080", f"localhost:{self.port}")

    def unused(self):
        return sorted(QUICKER.keys() - self.used)

    def run(self, block, python):
        """Its outcome; the server of the quick start runs where the block expects one."""
        asks = ADDRESS in block.text or "localhost:8080" in block.text
        if asks and " serve" not in block.text and not (self.own / "pid").exists():
            self.bash(self.quick_start).check_returncode()
        return self.bash(block) if block.language == "sh" else self.python(block, python)

    def bash(self, block):
        # Lines are counted as in the README; a failure says its command.
        script = self.own / "README.md"
        trap = """trap 'echo "README.md:$LINENO: failed with $?: $BASH_COMMAND" >&2' ERR; set -Eeuo pipefail"""
        script.write_text(trap + "\n" * (block.line - 1) + self.here(block.text))
        return self.ran(["bash", script])

    def python(self, block, python):
        script = self.own / "README.py"
        script.write_text("\n" * (block.line - 1) + self.here(block.text))
        return self.ran([python, script])

    def settings(self, block):
        """The settings files that it names, by `npedit config check`."""
        for name in re.findall(r"--config (\S+)", block.text):
            file = next((folder / name for folder in (self.folder, ROOT) if (folder / name).exists()), name)
            done = self.ran([self.npedit, "config", "check", "--config", file])
            if done.returncode:
                return done.stderr
        return None

    def ran(self, command):
        # Files, not pipes: a server that stays behind would hold a pipe open.
        with open(self.own / "stdout", "w+") as out, open(self.own / "stderr", "w+") as err:
            process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                err.write(f"not done after {PATIENCE} s\n")
            out.seek(0), err.seek(0)
            return subprocess.CompletedProcess(command, process.returncode, out.read(), err.read())

    def server_log(self):
        log = self.own / "log"
        return "\n".join(log.read_text().splitlines()[-2:]) if log.exists() else ""

    def stop_serving(self):
        subprocess.run([BIN / "stop-serving"], env=self.environment, check=True)

    def leave(self):
        self.stop_serving()
        shutil.rmtree(self.work)


def adapter(folder):
    """A LoRA for the built-in bundle as PEFT writes one, whose numbers are small and change something."""
    folder.mkdir(parents=True)
    transformer = (ROOT / "assets/tiny/transformer/diffusion_pytorch_model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", transformer[:8])
    out, in_ = json.loads(transformer[8:8 + length])["layers.0.attention.to_q.weight"]["shape"]
    header, data = {}, b""
    for half, shape in (("lora_A", [2, in_]), ("lora_B", [out, 2])):
        tensor = struct.pack("<f", 0.01) * (shape[0] * shape[1])
        name = f"base_model.model.transformer.layers.0.attention.to_q.{half}.weight"
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(tensor)]}
        data += tensor
    head = json.dumps(header).encode()
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + data)
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["to_q"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
