import type { Lab } from './state.ts';

/** What every process of a lab carries, so that it can be told apart whatever becomes of its namespace. */
export function labEnvironment(lab: Lab): NodeJS.ProcessEnv {
  return { ...process.env, GODWIT_LAB_HOME: lab.dir };
}
