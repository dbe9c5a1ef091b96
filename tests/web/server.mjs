// The debug binary on a free port, with a place of its own; it can be killed and started again there.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PATIENCE_MS = 60_000;

export class Server {
  // `environment`: settings over those of the tests, which `settings` names on the command line.
  static async start(environment = {}, settings = ["--config", "tests/web/settings.toml"]) {
    const server = Object.assign(new Server(), { environment, settings });
    server.directory = await mkdtemp(join(tmpdir(), "npedit-web-"));
    server.port = await freePort();
    server.url = `http://127.0.0.1:${server.port}/`;
    await server.run();
    return server;
  }

  async run() {
    const arguments_ = ["serve", "--port", String(this.port), "--data-dir", join(this.directory, "data"), ...this.settings];
    const model = process.env.NPEDIT_WEB_MODEL;
    const options = { stdio: "ignore", env: { ...process.env, ...this.environment } };
    this.process = spawn(process.env.NPEDIT_BINARY, model ? [...arguments_, "--model", model] : arguments_, options);
    this.ended = once(this.process, "exit");
    for (const start = Date.now(); Date.now() - start < PATIENCE_MS; ) {
      const answer = await fetch(`${this.url}health/ready`).catch(() => null);
      if (answer?.ok) return;
      if (this.process.exitCode !== null) throw new Error(`the server ended with ${this.process.exitCode}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error("the server is not ready");
  }

  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }

  async stop() {
    this.process.kill("SIGTERM");
    await this.ended;
    await rm(this.directory, { recursive: true, force: true });
  }
}

async function freePort() {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  return port;
}
