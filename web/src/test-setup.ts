// A busy machine takes its time: what is waited for comes, or the test fails late.

import { configure } from "@testing-library/dom";
import { vi } from "vitest";

const LONG_MS = 20_000;
const { waitFor } = vi;

configure({ asyncUtilTimeout: LONG_MS });
vi.waitFor = (condition, options = LONG_MS) => waitFor(condition, options);
