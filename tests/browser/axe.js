// Runs axe-core, which stands before this text, and answers one line for each element at fault.
const done = arguments[arguments.length - 1];
const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
axe
  .run(document, { runOnly: rules, resultTypes: ["violations"] })
  .then(({ violations }) =>
    done(
      violations.flatMap(({ id, help, nodes }) =>
        nodes.map(({ target, failureSummary, html }) => `${id} at ${target.join(" ")}: ${help}. ${failureSummary} ${html.slice(0, 200)}`),
      ),
    ),
  )
  .catch((error) => done([`axe-core did not run: ${error}`]));
