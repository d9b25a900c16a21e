/** Rules for widgets/: what tsc does not see, and what the content security policy would refuse. */
export default [
  {
    files: ["**/*.js"],
    languageOptions: { ecmaVersion: 2023, sourceType: "module" },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "array-callback-return": "error",
      curly: ["error", "multi-line"],
      eqeqeq: ["error", "always"],
      "no-alert": "error",
      "no-console": "error",
      "no-constant-binary-expression": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: "Use textContent or replaceChildren." },
        { property: "outerHTML", message: "Use textContent or replaceChildren." },
        { property: "insertAdjacentHTML", message: "Use textContent or replaceChildren." },
        { object: "document", property: "write", message: "Use textContent or replaceChildren." },
      ],
      "no-self-compare": "error",
      "no-throw-literal": "error",
      "no-unmodified-loop-condition": "error",
      "no-unreachable-loop": "error",
      "no-unused-expressions": "error",
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
    },
  },
  {
    // The launcher is a classic script: one tag on a page that is not ours.
    files: ["**/launcher.js"],
    languageOptions: { sourceType: "script" },
  },
];
