import type { Lab } from './state.ts';

/** Gives each host its certificate and configuration and starts its agent. */
export async function startAgents(_lab: Lab, _signal?: AbortSignal): Promise<void> {}
