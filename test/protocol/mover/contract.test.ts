import { moverContract } from '../../../src/protocol/mover/contract.ts';
import { contractRules } from '../contract-rules.ts';

contractRules('mover that its own agent calls', moverContract);
