import { agentContract } from '../../src/protocol/contract.ts';
import { contractRules } from './contract-rules.ts';

contractRules('agent', agentContract);
