import { spawn } from 'node:child_process';

const LAST_CHARS = 4000;
/** Printed before each prompt, with the exit code of the line before it. */
const MARK = /<exit (\d+)>/g;

/** An interactive shell at a terminal of its own. */
export interface Terminal {
  /** Writes as a keyboard would, or a paste: at once. */
  type(text: string): void;
  /** The exit code of the next line that ends. Rejects when the shell is gone or its time is over. */
  exit(): Promise<number>;
  /** All that the terminal has shown. */
  text(): string;
  /** Its last lines, with what was typed, for a message. */
  story(line: string): string;
  close(): Promise<void>;
}

/** Opens one; its shell has read nothing yet but is ready when this resolves. */
export async function openTerminal(
  cwd: string,
  env: Readonly<Record<string, string>>,
  deadlineMs: number,
): Promise<Terminal> {
  const child = spawn('script', ['-qefc', 'bash --noprofile --norc -i', '/dev/null'], {
    cwd,
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: deadlineMs,
    env: {
      ...process.env,
      ...env,
      PROMPT_COMMAND: `printf '<exit %s>\\n' $?`,
      TERM: 'xterm',
    },
  });
  let shown = '';
  let taken = 0;
  let wake: () => void = () => {};
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    wake();
  });
  const gone = new Promise<void>((resolve) => child.on('close', () => resolve()));
  void gone.then(() => wake());
  const exit = async (): Promise<number> => {
    for (;;) {
      const code = [...shown.matchAll(MARK)][taken]?.[1];
      if (code !== undefined) {
        taken += 1;
        return Number(code);
      }
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`the shell has ended: ${shown.slice(-LAST_CHARS)}`);
      }
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  // The first prompt: before it, no line has been read.
  await exit();
  return {
    type: (text) => void child.stdin.write(text),
    exit,
    text: () => shown,
    story: (line) => `${line}\n${shown.slice(-LAST_CHARS)}`,
    close: async () => {
      child.stdin.end('exit\n');
      child.kill('SIGHUP');
      await gone;
    },
  };
}
