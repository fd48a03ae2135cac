import { X509Certificate } from 'node:crypto';
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { configProblems } from '../../agent/config-check.ts';
import { loadAgentConfig, type AgentConfig } from '../../config.ts';
import { hasCode, toGodwitError } from '../../errors.ts';
import { CA_FILE, HOST_CERT } from '../../host/credentials.ts';
import { Fleet } from '../../host/fleet.ts';
import { parseBundle } from '../../rpc/trust-bundle.ts';
import { OWN_PLACES } from '../connection/own-agent.ts';
import type { CertificateFact, ConfigFact } from './facts.ts';

const section = z.looseObject({ programs: z.unknown().optional() });
const DAY_MS = 86_400_000;

export async function readConfig(
  named: string | undefined,
): Promise<{ readonly config: ConfigFact; readonly settings: AgentConfig | undefined }> {
  const file = named ?? OWN_PLACES.config;
  const there = await access(file).then(
    () => true,
    () => false,
  );
  if (!there && named === undefined)
    return { config: { file, state: 'absent' }, settings: undefined };
  try {
    const settings = loadAgentConfig(file);
    const pkiDir = settings.pkiDir ?? path.join(settings.stateDir, 'pki');
    const problems = await configProblems(settings);
    return { config: { file, state: 'read', pkiDir, problems }, settings };
  } catch (error) {
    const reason = toGodwitError(error).message.replace(`${file}: `, '').replaceAll('\n', '; ');
    return { config: { file, state: 'wrong', reason }, settings: undefined };
  }
}

/** Configured QEMU programs, in the present and the earlier setting; empty if they are on the PATH. */
export function programsOf(settings: AgentConfig | undefined): string[] {
  const places = [section.safeParse(settings?.drivers['qemu']).data?.programs, settings?.qemu];
  return z
    .array(z.string())
    .catch([])
    .parse(places.find((each) => each !== undefined));
}

export async function readCertificates(config: ConfigFact): Promise<CertificateFact[]> {
  if (config.state !== 'read') return [];
  const files = [CA_FILE, HOST_CERT].map((name) => path.join(config.pkiDir, name));
  return (await Promise.all(files.map(readCertificatesIn))).flat();
}

/** The reason why this host's fleet list is unusable; undefined if it is fine or missing. */
export function damagedList(settings: AgentConfig): string | undefined {
  try {
    new Fleet(settings).known();
    return undefined;
  } catch (error) {
    return hasCode(error, 'GODWIT_LIST_DAMAGED') ? error.message : undefined;
  }
}

/** One, or during a rotation each of the CAs. */
async function readCertificatesIn(file: string): Promise<CertificateFact[]> {
  try {
    const pem = await readFile(file, 'utf8');
    if (pem.trim() === '') return [{ file, problem: 'is empty' }];
    const isBundle = path.basename(file) === CA_FILE;
    const found = isBundle
      ? parseBundle(pem, file).map(({ certificate }) => certificate)
      : [new X509Certificate(pem)];
    return found.map((certificate) => factOf(file, certificate));
  } catch (error) {
    if (hasCode(error, 'GODWIT_PKI')) return [{ file, problem: error.message }];
    const { code, message } = error as NodeJS.ErrnoException;
    const problem = code === 'ENOENT' ? 'is not there' : `cannot be read: ${message.slice(0, 200)}`;
    return [{ file, problem }];
  }
}

function factOf(file: string, certificate: X509Certificate): CertificateFact {
  const toMs = certificate.validToDate.getTime();
  const daysLeft = (toMs - Date.now()) / DAY_MS;
  const lifeDays = (toMs - certificate.validFromDate.getTime()) / DAY_MS;
  return { file, subject: certificate.subject.replaceAll('\n', ', '), daysLeft, lifeDays };
}
