import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { godwitError } from '../../../../errors.ts';
import { SMALL_ENVIRONMENT, SMALL_FLAGS } from '../../../../system/processes/small-process.ts';
import { loginError, type LoginPlace } from './failures.ts';
import { loginAnswer, type LoginAnswer } from './messages.ts';

const PROGRAM = fileURLToPath(new URL('./login-main.ts', import.meta.url));
/** Limit of the error output at its end. */
const COMPLAINT = 512;

/**
 * Kerberos login in a separate process: the library's waits for a KDC cannot be cancelled, and the tickets end
 * with the process. The signal kills it. Throws GODWIT_MANAGER_DENIED or GODWIT_UNREACHABLE.
 */
export class KerberosLogin {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #place: LoginPlace;
  readonly #signal: AbortSignal;
  #complaint = '';

  /** `hash`: of the server's certificate, to which the login is bound. */
  constructor(place: LoginPlace, password: string, hash: Buffer | undefined, signal: AbortSignal) {
    this.#place = place;
    this.#signal = signal;
    this.#child = spawn(process.execPath, [...SMALL_FLAGS, PROGRAM], {
      cwd: '/',
      env: { ...process.env, ...SMALL_ENVIRONMENT },
      stdio: 'pipe',
      signal,
      killSignal: 'SIGKILL',
    });
    this.#child.on('error', ({ message }) => {
      this.#complaint ||= message;
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-COMPLAINT);
    });
    this.#child.stdin.on('error', () => undefined);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    const { user, service } = place;
    this.#say({ user, password, service, hash: hash?.toString('hex') });
  }

  /** Message to the server, base64. */
  async token(): Promise<string> {
    const answer = await this.#answer();
    return 'token' in answer ? answer.token : this.#unclear();
  }

  /** Verifies that the server could read the ticket. `answer`: the server's, base64. */
  async prove(answer: string): Promise<void> {
    if (answer === '') {
      throw loginError({ stage: 'context', number: 0, words: '' }, this.#place);
    }
    this.#say({ token: answer });
    if (!('proved' in (await this.#answer()))) this.#unclear();
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }

  #say(line: object): void {
    this.#child.stdin.write(`${JSON.stringify(line)}\n`);
  }

  async #answer(): Promise<LoginAnswer> {
    const line = await this.#lines.next();
    this.#signal.throwIfAborted();
    if (line.done === true) return this.#unclear();
    const answer = loginAnswer.parse(JSON.parse(line.value));
    if ('failed' in answer) throw loginError(answer.failed, this.#place);
    return answer;
  }

  #unclear(): never {
    const why = this.#complaint.trim().split('\n').at(-1) || 'without a word';
    throw godwitError('GODWIT_INTERNAL', { what: `the login by Kerberos ended: ${why}` });
  }
}
