// The program itself, with a store of its own.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const program = process.env["MACULA_PROGRAM"];

/** `macula serve` with the shipped encoder `grey-64`. */
export class Device {
  private child: ChildProcess | undefined;
  url = "";
  /** Address with a pairing code, if other machines may connect. */
  pair = "";
  private readonly folder = mkdtempSync(join(tmpdir(), "macula-page-"));


  /** Serves the store, which stays for the next start. */
  async start(listen = "localhost:0", options: string[] = []): Promise<void> {
    if (program === undefined) throw new Error("MACULA_PROGRAM is not set: the path of the program macula");
    const args = ["serve", "--json", "--device", join(this.folder, "ward.store"), "--encoder", "grey-64", "--listen", listen, ...options];
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.child = child;
    const ready = await new Promise<{ page: string; pair?: string }>((resolve, reject) => {
      let text = "";
      child.stdout?.on("data", (bytes: Buffer) => {
        text += bytes.toString();
        if (text.includes("\n")) resolve(JSON.parse(text) as { page: string; pair?: string });
      });
      child.on("exit", (code) => reject(new Error(`macula serve ended with ${code}`)));
    });
    this.url = ready.page;
    this.pair = ready.pair ?? "";
  }

  async kill(): Promise<void> {
    const child = this.child;
    if (child === undefined) return;
    this.child = undefined;
    const gone = new Promise((resolve) => child.on("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  /** Ends it for good. */
  async end(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
