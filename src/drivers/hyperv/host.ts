import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { godwitError, type GodwitError } from '../../errors.ts';
import { ANSWERS, parseAnswer, type Answer, type Answers } from './answers.ts';
import { explained } from './hresults.ts';
import { isRunning, jobOf, type MigrationJob } from './job.ts';
import type { HypervOptions } from './options.ts';
import { readPassword } from '../../system/files/password-file.ts';
import { powershellArgs, scriptText, type ScriptName } from './scripts.ts';
import type { Sight } from './whereabouts.ts';
import { WsmanFault } from './wsman/answers.ts';
import { WinrmClient } from './wsman/client.ts';
import { errorWords } from './wsman/clixml.ts';

const REALIZED = 'Microsoft:Hyper-V:System:Realized';
const TERMINATE = '4';
const STARTED = 4096;

/** Queries of one Hyper-V host. Throws GODWIT_HYPERVISOR with the host's message, and WinrmClient's errors. */
export class HypervHost {
  readonly name: string;
  readonly #client: WinrmClient;

  private constructor(name: string, client: WinrmClient) {
    this.name = name;
    this.#client = client;
  }

  static async open(
    name: string,
    { url, fingerprint }: { readonly url: string; readonly fingerprint?: string | undefined },
    { user, passwordFile, auth, ca }: HypervOptions,
  ): Promise<HypervHost> {
    const pem = ca === undefined ? undefined : await readCa(ca);
    const password = (): Promise<string> => readPassword(passwordFile);
    return new HypervHost(
      name,
      new WinrmClient({ url, fingerprint, user, password, auth, ca: pem }),
    );
  }

  close(): void {
    this.#client.close();
  }

  /** Answer of a script, or the error that ended it. */
  async tried<Name extends ScriptName>(
    name: Name,
    data: unknown,
    signal: AbortSignal,
  ): Promise<Answer<Answers[Name]>> {
    const args = powershellArgs(scriptText(name, data));
    const { code, stdout, stderr } = await this.#client.run('powershell.exe', args, signal);
    const schema = ANSWERS[name] as unknown as z.ZodType<Answers[Name]>;
    const answer = parseAnswer(stdout, schema);
    if (answer !== undefined) return answer;
    const words = errorWords(stderr);
    const reason = words === '' ? `PowerShell ended with ${code} and no answer` : words;
    throw this.refused(name, reason);
  }

  async ask<Name extends ScriptName>(
    name: Name,
    data: unknown,
    signal: AbortSignal,
  ): Promise<Answers[Name]> {
    const answer = await this.reported(name, () => this.tried(name, data, signal));
    if ('value' in answer) return answer.value;
    throw this.refused(name, explained(answer.error.message, answer.error.hresult));
  }

  /** Jobs that move a machine, including jobs that ended in the last minutes. */
  async jobs(machine: string, signal: AbortSignal): Promise<MigrationJob[]> {
    const wql = `SELECT * FROM Msvm_MigrationJob WHERE VirtualSystemName='${guid(machine)}'`;
    const found = await this.reported('migration jobs', () => this.#client.query(wql, signal));
    return found.map(jobOf).filter((each) => each !== undefined);
  }

  async runningJob(machine: string, signal: AbortSignal): Promise<MigrationJob | undefined> {
    return (await this.jobs(machine, signal)).find(isRunning);
  }

  async machine(machine: string, signal: AbortSignal): Promise<Exclude<Sight, 'silent'>> {
    const wql = `SELECT * FROM Msvm_ComputerSystem WHERE Name='${guid(machine)}'`;
    const [found] = await this.reported('virtual machines', () => this.#client.query(wql, signal));
    if (found === undefined) return 'absent';
    return { enabled: Number(found['EnabledState']?.at(0) ?? 0) || 0 };
  }

  /** Empty if it has none or does not exist. */
  async notes(machine: string, signal: AbortSignal): Promise<string> {
    const wql = `SELECT * FROM Msvm_VirtualSystemSettingData WHERE VirtualSystemIdentifier='${guid(machine)}' AND VirtualSystemType='${REALIZED}'`;
    const [found] = await this.reported('notes', () => this.#client.query(wql, signal));
    return (found?.['Notes'] ?? []).join('\n');
  }

  async terminate({ id }: MigrationJob, signal: AbortSignal): Promise<void> {
    const job = { className: 'Msvm_MigrationJob', key: { InstanceID: id } };
    const asked = { RequestedState: TERMINATE };
    const value = await this.reported('cancel', () =>
      this.#client.invoke(job, 'RequestStateChange', asked, signal),
    );
    if (value !== 0 && value !== STARTED) {
      throw this.refused('cancel', `it does not end the job now (${value})`);
    }
  }

  /** Converts the server's fault to Godwit's error with the server's message. */
  async reported<T>(command: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      if (!(thrown instanceof WsmanFault)) throw thrown;
      throw this.refused(command, explained(thrown.message), thrown);
    }
  }

  refused(command: string, reason: string, cause?: unknown): GodwitError {
    const facts = { hypervisor: 'hyperv', host: this.name, command, reason };
    const hint =
      'The message is Hyper-V’s own; the event log Microsoft-Windows-Hyper-V-VMMS-Admin of that host says more.';
    return godwitError('GODWIT_HYPERVISOR', facts, { cause, hint });
  }
}

/** WMI's form; the id in a handle was validated as a UUID. */
function guid(machine: string): string {
  return machine.toUpperCase().replaceAll(/[^0-9A-F-]/g, '');
}

async function readCa(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw godwitError('GODWIT_CONFIG', { file, what: 'the CA cannot be read' }, { cause });
  }
}
