import { controllerContract } from '../../../src/protocol/controller/contract.ts';
import { contractRules } from '../contract-rules.ts';

contractRules('controller', controllerContract);
