import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

const DEMO = path.resolve(import.meta.dirname, '../../../demo/demo.ts');
const DEADLINE_MS = 300_000;

export interface DemoEnded {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the demo to its end; `onText` sees standard error as it grows. */
export async function demo(
  args: readonly string[],
  onText: (stderr: string, interrupt: () => void) => void = () => {},
): Promise<DemoEnded> {
  const child = spawn(process.execPath, [DEMO, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGTERM'), DEADLINE_MS);
  let [stdout, stderr, interrupted] = ['', '', false];
  const interrupt = (): void => {
    if (!interrupted) child.kill('SIGINT');
    interrupted = true;
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    onText(stderr, interrupt);
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  clearTimeout(timer);
  return { code, stdout, stderr };
}

/** The lab that a demo said it built. */
export function labOf({ stderr }: Pick<DemoEnded, 'stderr'>): string {
  return /^lab\s+(demo(?:-\d)?):/m.exec(stderr)?.[1] ?? 'demo';
}

/** Whether a namespace of this lab is there; `demo-2` may stand beside `demo`, and its hosts have no digit. */
export async function namespacesLeft(lab: string): Promise<boolean> {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  return new RegExp(String.raw`/gw-${lab}-(?!\d)`).test(mounts);
}
