import type { Lab } from './state.ts';

/** Some distributions leave out of a user's PATH the folders where `ip` and `tc` are. */
export function systemEnvironment(): NodeJS.ProcessEnv {
  const found = process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin';
  return { ...process.env, PATH: `${found}:/usr/sbin:/sbin` };
}

/** What every process of a lab carries, so that it can be told apart whatever becomes of its namespace. */
export function labEnvironment(lab: Pick<Lab, 'dir'>): NodeJS.ProcessEnv {
  return { ...systemEnvironment(), GODWIT_LAB_HOME: lab.dir };
}
