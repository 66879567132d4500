// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cli_bad_input
#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/json_document.hpp"
#include "support/run_program.hpp"

#include <filesystem>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

// Every bad input gives exit code 2, nothing on standard output, and this one line on standard
// error. TINY stands for a model of 2 layers, 128 neurons each, 40 positions, without a tokenizer.

namespace {

struct bad_case {
    std::vector<std::string> arguments;
    std::string message;
};

const std::string tiny = xlens::test::golden_path("models/gpt2/hf").string();
const std::string model = xlens::test::default_model().string();

std::vector<std::string> with(std::vector<std::string> front, std::vector<std::string> more) {
    front.insert(front.end(), more.begin(), more.end());
    return front;
}
bad_case tiny_trace(std::vector<std::string> more, std::string message) {
    return {with({"trace", tiny, "--ids", "1"}, std::move(more)), std::move(message)};
}
bad_case tiny_generate(std::vector<std::string> more, std::string message) {
    return {with({"generate", tiny, "--ids", "1"}, std::move(more)), std::move(message)};
}
bad_case tiny_attribute(std::vector<std::string> more, std::string message) {
    return {with({"attribute", tiny, "--ids", "1"}, std::move(more)), std::move(message)};
}
std::string many_ids(int count) {
    std::string out = "0";
    for (int i = 1; i < count; ++i) { out += ",0"; }
    return out;
}

const std::string names =
    "info, tokenize, trace, concept, index, search, cluster, attribute, patch, generate, "
    "perplexity, direction, compare, events, capture, merge, examples, exit, lens, sae";
const std::string whole_threads = "--threads: expected a whole number from 1 to 1024, got ";
const std::string whole_ids = "--ids: expected a whole number from 0 to 2147483647, got ";
const std::string edit_form = "expected LAYER:INDEX=NUMBER such as 12:1033=1.5, got ";
const std::string neuron_form = "expected a neuron LAYER:INDEX such as 12:1033, got ";
const std::string no_tokenizer = tiny + ": no tokenizer in it; give token ids (--ids)";

const std::vector<bad_case> cases{
    // The command line itself.
    {{}, "expected one of " + names + ", or --help; got nothing"},
    {{"nonsense"}, "expected one of " + names + ", or --help; got 'nonsense'"},
    {{"--versions"}, "expected one of " + names + ", or --help; got '--versions'"},
    {{"inf\x1b[31mo"}, "expected one of " + names + ", or --help; got 'inf\\x1b[31mo'"},
    {{"info"}, "MODEL is required"},
    {{"info", tiny, "more"}, "info: unknown argument 'more'; xlens info --help lists them"},
    {{"info", tiny, "--nope"}, "info: unknown argument '--nope'; xlens info --help lists them"},
    tiny_generate({"--beams", "4"},
                  "generate: unknown argument '--beams'; xlens generate --help lists them"),
    {{"info", tiny, "--threads"}, "--threads: expected a value, got nothing"},
    {{"info", tiny, "--threads", "0"}, whole_threads + "'0'"},
    {{"info", tiny, "--threads", "-1"}, whole_threads + "'-1'"},
    {{"info", tiny, "--threads", "1e9"}, whole_threads + "'1e9'"},
    {{"info", tiny, "--threads", "1000000000"}, whole_threads + "'1000000000'"},
    {{"info", tiny, "--threads", "99999999999999999999999"},
     whole_threads + "'99999999999999999999999'"},
    {{"info", tiny, "--threads", "2", "--threads", "3"}, "--threads: expected once, got 2 times"},
    {{"info", tiny, "--precision", "f16"}, "--precision: expected one of f32, native, got 'f16'"},
    {{"info", tiny, "--cache", "f16"},
     "info: unknown argument '--cache'; xlens info --help lists them"},
    tiny_trace({"--cache", "bf16"}, "--cache: expected one of f32, f16, q8_0, got 'bf16'"),
    tiny_trace({"--cache", "q8_0"},
               "cache q8_0: expected heads of a multiple of 32 numbers, got 8"),
    // The model.
    {{"info", ""}, "MODEL: expected a .gguf file, a Hugging Face folder or default, got ''"},
    {{"info", "/no/such"}, "/no/such: cannot be opened: No such file or directory"},
    {{"info", "/dev/zero"}, "/dev/zero: expected a regular file, got a device"},
    {{"info", "/proc/self"}, "/proc/self/config.json: cannot be opened: No such file or directory"},
    // The prompt.
    {{"trace", tiny}, "--prompt, --ids: expected one of the two, got neither"},
    tiny_trace({"--prompt", "a"}, "--prompt, --ids: expected one of the two, got both"),
    tiny_trace({"--ids", "2"}, "--ids: expected once, got 2 times"),
    {{"trace", tiny, "--prompt", "hi"}, no_tokenizer},
    {{"tokenize", tiny, "--text", "hi"}, no_tokenizer},
    {{"tokenize", model}, "--text: expected a text, got nothing"},
    {{"trace", model, "--prompt", ""},
     "--prompt: expected at least 1 token, got 0 (''); the model has no start token"},
    {{"trace", tiny, "--ids", ""}, whole_ids + "''"},
    {{"trace", tiny, "--ids", "1,,2"}, whole_ids + "''"},
    {{"trace", tiny, "--ids", "1,2,"}, whole_ids + "''"},
    {{"trace", tiny, "--ids", "1, 2"}, whole_ids + "' 2'"},
    {{"trace", tiny, "--ids", "-1"}, whole_ids + "'-1'"},
    {{"trace", tiny, "--ids", "2147483648"}, whole_ids + "'2147483648'"},
    {{"trace", model, "--ids", "1,49152"}, "--ids: token 49152: expected 0 to 49151"},
    {{"trace", tiny, "--ids", many_ids(41)}, "--ids: 41 tokens, the model reads at most 40"},
    {{"generate", model, "--ids", many_ids(8193)},
     "--ids: 8193 tokens, the model reads at most 8192"},
    // Numbers and words.
    tiny_trace({"--top", "0"}, "--top: expected a whole number from 1 to 100000, got '0'"),
    tiny_trace({"--top", "abc"}, "--top: expected a whole number from 1 to 100000, got 'abc'"),
    tiny_trace({"--sub-updates", "-1"},
               "--sub-updates: expected a whole number from 0 to 100000, got '-1'"),
    tiny_trace({"--positions", "first"},
               "--positions: expected all, last or numbers such as 3,5-8, got 'first'"),
    tiny_generate({"-n", "-5"}, "-n: expected a whole number from 0 to 1000000, got '-5'"),
    tiny_generate({"-n", "-2147483648"},
                  "-n: expected a whole number from 0 to 1000000, got '-2147483648'"),
    tiny_generate({"--top-k", "-5"},
                  "--top-k: expected a whole number from 0 to 10000000, got '-5'"),
    tiny_generate({"--temperature", "-1"}, "--temperature: expected at least 0, got -1"),
    tiny_generate({"--temperature", "nan"}, "--temperature: expected a finite number, got 'nan'"),
    tiny_generate({"--top-p", "0"}, "--top-p: expected above 0 and up to 1, got 0"),
    tiny_generate({"--top-p", "1.5"}, "--top-p: expected above 0 and up to 1, got 1.5"),
    tiny_generate({"--seed", "x"},
                  "--seed: expected a whole number from 0 to 18446744073709551615, got 'x'"),
    tiny_generate({"--min-p", "2"}, "--min-p: expected 0 to 1, got 2"),
    tiny_generate({"--repetition-penalty", "0"}, "--repetition-penalty: expected above 0, got 0"),
    tiny_generate({"--beam", "0"}, "--beam: expected a whole number from 1 to 1000, got '0'"),
    tiny_generate({"--beam", "2", "--top-k", "5"},
                  "--beam: expected no flag of sampling with it, got one"),
    tiny_generate({"--length-penalty", "2"}, "--length-penalty: expected --beam with it, got none"),
    tiny_generate({"--stop", ""}, "--stop: expected a text, got ''"),
    tiny_generate(
        {"--compare"},
        "--compare: expected an intervention (--set, --scale, --recipe, --ban), got none"),
    // Chat.
    tiny_generate({"--chat"}, "--chat: expected --prompt, got --ids"),
    {{"generate", model, "--prompt", "a", "--system", "b"},
     "--system: expected --chat with it, got none"},
    {{"generate", model, "--messages", "a.json"}, "--messages: expected --chat with it, got none"},
    {{"tokenize", model, "--text", "a", "--date", "2024-07-04"},
     "--date: expected --chat with it, got none"},
    {{"tokenize", model, "--text", "a", "--chat", "--date", "today"},
     "date: expected YYYY-MM-DD, got 'today'"},
    {{"tokenize", model, "--text", "a", "--chat", "--chat-template", "rag"},
     "chat template: the model has none of the name 'rag'; it has default"},
    {{"tokenize", model, "--chat"}, "--text: expected a text, got nothing"},
    // Neurons and edits.
    {{"concept", tiny}, "L:I, --prompts: expected one of the two, got neither"},
    {{"concept", tiny, "0"}, "L:I: " + neuron_form + "'0'"},
    {{"concept", tiny, "2:0"}, "neuron 2:0: layer 2, the model has layers 0 to 1"},
    {{"concept", tiny, "1:128"}, "neuron 1:128: index 128, a layer has neurons 0 to 127"},
    {{"concept", tiny, "0:0", "--projection", "cooked"},
     "--projection: expected one of folded, raw, normed, standard, got 'cooked'"},
    {{"concept", tiny, "0:0", "--control", "3", "--projection", "normed"},
     "--control: expected --projection folded or raw, got normed"},
    {{"concept", tiny, "0:0", "--index", "/no/such"},
     "/no/such: cannot be opened: No such file or directory"},
    // Searches.
    {{"search", tiny}, "--words, --regex, --ids, --like: expected one of them, got none"},
    {{"search", tiny, "--ids", "1", "--like", "0:1"},
     "--words, --regex, --ids, --like: expected one of them, got 2"},
    {{"search", tiny, "--words", "red"}, no_tokenizer},
    {{"search", tiny, "--regex", "red"}, no_tokenizer},
    {{"search", tiny, "--ids", "x"}, whole_ids + "'x'"},
    {{"search", tiny, "--like", "7"}, "--like: " + neuron_form + "'7'"},
    {{"search", tiny, "--like", "2:0"}, "neuron 2:0: layer 2, the model has layers 0 to 1"},
    {{"search", model, "--words", "red,,blue"}, "words: expected words, got an empty one"},
    {{"search", model, "--words", ""}, "words: expected words, got an empty one"},
    {{"search", model, "--regex", "(a"},
     "--regex: pattern (a does not compile: missing closing parenthesis (at byte 2)"},
    {{"search", model, "--regex", "^no such token$"},
     "--regex: expected a pattern of at least 1 token, got '^no such token$', which matches none"},
    {{"search", tiny, "--ids", "1", "--suppresses", "--either"},
     "--suppresses, --either: expected one of the two, got both"},
    {{"search", tiny, "--ids", "1", "--limit", "0"},
     "--limit: expected a whole number from 1 to 10000000, got '0'"},
    {{"search", tiny, "--ids", "1", "--side", "gate"},
     "side: the layers have no gate: expected value or key, got gate"},
    {{"search", model, "--ids", "1", "--side", "key"},
     "side: the layers are gated: expected value, gate or up, got key"},
    {{"search", tiny, "--ids", "1", "--side", "keys"},
     "--side: expected one of value, key, gate, up, got 'keys'"},
    {{"search", tiny, "--ids", "1", "--normalise", "std"},
     "--normalise: expected one of none, norm, spread, got 'std'"},
    {{"search", tiny, "--ids", "1", "--projection", "normed"},
     "--projection: expected one of folded, raw, standard, got 'normed'"},
    {{"search", tiny, "--ids", "1", "--seed", "-1"},
     "--seed: expected a whole number from 0 to 18446744073709551615, got '-1'"},
    {{"search", tiny, "--ids", "1", "--side", "key", "--index", "x"},
     "--index: holds value vectors, expected --side value, got key"},
    {{"search", tiny, "--ids", "1", "--index", "/no/such"},
     "/no/such: cannot be opened: No such file or directory"},
    // Files to write.
    {{"index", tiny}, "-o: expected a file to write, got nothing"},
    {{"index", tiny, "-o", "/no/such/folder/x"},
     "/no/such/folder/x: cannot be written: No such file or directory"},
    {{"index", tiny, "-o", "/"}, "/: cannot be written: Is a directory"},
    {{"index", tiny, "-o", "x", "--top", "0"},
     "--top: expected a whole number from 1 to 10000000, got '0'"},
    tiny_trace({"--html", ""}, "--html: expected a file to write, got ''"),
    tiny_trace({"--html", "/no/such/x.html"},
               "/no/such/x.html: cannot be written: No such file or directory"),
    tiny_trace({"--html", "/tmp"}, "/tmp: cannot be written: Is a directory"),
    tiny_trace({"--html", "/dev/null"}, "/dev/null: cannot be written: not a regular file"),
    // Before the model is opened.
    {{"trace", "/no/such/model", "--ids", "1", "--html", "/no/such/x.html"},
     "/no/such/x.html: cannot be written: No such file or directory"},
    // Clusters.
    {{"cluster", tiny}, "-k: expected a number of clusters, got nothing"},
    {{"cluster", tiny, "-k", "0"}, "-k: expected a whole number from 1 to 100000000, got '0'"},
    {{"cluster", tiny, "-k", "257"}, "clusters: expected 1 to 256, the number of vectors, got 257"},
    {{"cluster", tiny, "-k", "9", "--sample", "8"},
     "clusters: expected 1 to 8, the number of vectors, got 9"},
    {{"cluster", tiny, "-k", "2", "--method", "single"},
     "--method: expected one of kmeans, complete, got 'single'"},
    {{"cluster", tiny, "-k", "2", "--space", "flat"},
     "--space: expected one of raw, projected, centred, got 'flat'"},
    {{"cluster", tiny, "-k", "2", "--tolerance", "-1"}, "--tolerance: expected at least 0, got -1"},
    {{"cluster", tiny, "-k", "2", "--memory", "4"}, "--memory: not for --method kmeans"},
    {{"cluster", tiny, "-k", "2", "--method", "complete", "--rounds", "4"},
     "--rounds: not for --method complete"},
    {{"capture", tiny, "--ids", "1", "--layers", "0", "--sites", "embedding,logits", "-o", "x"},
     "layers: expected a site of layers with them, such as after, got embedding, logits"},
    {{"cluster", tiny, "-k", "2", "-o", "/no/such/folder/x"},
     "/no/such/folder/x: cannot be written: No such file or directory"},
    {{"cluster", model, "-k", "2", "--method", "complete"},
     "complete linkage: 46080 vectors need 8100 MiB of distances, the limit is 1024 MiB; take a "
     "sample of them or raise the limit"},
    tiny_trace({"--set", "0:1"}, "--set: " + edit_form + "'0:1'"),
    tiny_trace({"--set", "a=1"}, "--set: " + neuron_form + "'a'"),
    tiny_trace({"--set", "-1:0=1"}, "--set: " + neuron_form + "'-1:0'"),
    tiny_trace({"--set", "0:1=nan"}, "--set: expected a finite number, got 'nan'"),
    tiny_trace({"--set", "0:1=1e99"}, "--set: expected a finite number, got '1e99'"),
    tiny_trace({"--scale", "0:1=inf"}, "--scale: expected a finite number, got 'inf'"),
    tiny_trace({"--scale", "9:1=1"}, "neuron 9:1: layer 9, the model has layers 0 to 1"),
    tiny_generate({"--set", "0:1000000000=1"},
                  "neuron 0:1000000000: index 1000000000, a layer has neurons 0 to 127"),
    tiny_generate({"--ban", ""}, "--ban: expected a word, got ''"),
    tiny_generate({"--ban", "word"}, "--ban: the model has no tokenizer; give token ids"),
    tiny_generate({"--recipe", "/no/such"},
                  "/no/such: cannot be opened: No such file or directory"),
    {{"trace", model, "--prompt", "a", "--ban", "b"},
     "trace: unknown argument '--ban'; xlens trace --help lists them"},
    // Files of text.
    {{"perplexity", model}, "--file: expected a text file, got nothing"},
    {{"lens", "fit", model, "--kind", "jacobian", "--file", "x", "-o", "x", "--precision",
      "native"},
     "--precision: lens fit --kind jacobian takes f32, got native"},
    {{"lens", "fit", model, "--kind", "jacobian", "--file", "x", "-o", "x", "--cache", "q8_0"},
     "--cache: lens fit --kind jacobian takes f32, got q8_0"},
    {{"exit", "table", model, "--file", "README.md", "--clusters", "README.md", "--seeds", "a"},
     "--seeds: expected a whole number from 0 to 4294967295, got 'a'"},
    {{"perplexity", model, "--file", "/no/such"},
     "/no/such: cannot be opened: No such file or directory"},
    {{"perplexity", model, "--file", "/dev/null"},
     "/dev/null: expected a regular file, got a device"},
    {{"perplexity", model, "--file", "/proc"}, "/proc: expected a regular file, got a folder"},
    // Attributions.
    tiny_attribute({"--token", "x"},
                   "--token: expected a token's id, for the model has no tokenizer; got 'x'"),
    tiny_attribute({"--token", "#301"}, "--token: token 301: expected 0 to 299"),
    tiny_attribute({"--token", "-1"},
                   "--token: expected a token's id, for the model has no tokenizer; got '-1'"),
    tiny_attribute({"--against", "99999999999999999999"},
                   "--against: expected a token's id, for the model has no tokenizer; got "
                   "'99999999999999999999'"),
    tiny_attribute({"--token", "7", "--against", "7"},
                   "--against: expected another token than --token, got 7 for both"),
    tiny_attribute({"--position", "1"}, "--position: expected 0 to 0, got 1"),
    tiny_attribute({"--position", "-1"},
                   "--position: expected a whole number from 0 to 18446744073709551615, got '-1'"),
    tiny_attribute({"--layers", "0,9"},
                   "--layers: expected numbers and ranges from 0 to 1 such as 3,5-8, got '0,9'"),
    tiny_attribute({"--limit", "x"},
                   "--limit: expected a whole number from 0 to 10000000, got 'x'"),
    tiny_attribute({"--set", "9:0=1"}, "neuron 9:0: layer 9, the model has layers 0 to 1"),
    tiny_attribute({"--head", "1"}, "--head: expected a head LAYER:HEAD such as 12:3, got '1'"),
    tiny_attribute({"--head", "2:0"}, "head 2:0: layer 2, the model has layers 0 to 1"),
    tiny_attribute({"--head", "1:9"}, "head 1:9: index 9, a layer has heads 0 to 3"),
    {{"attribute", model}, "--prompt, --ids: expected one of the two, got neither"},
    {{"attribute", model, "--prompt", "a", "--token", ""},
     "--token: expected the text of a token or its id, got '', which has no token"},
    {{"attribute", model, "--prompt", "a", "--token", "Parisian town"},
     "--token: expected one token, got 'Parisian town', which is 3: 'Paris', 'ian', ' town'"},
    {{"attribute", model, "--prompt", "a", "--against", "#49152"},
     "--against: token 49152: expected 0 to 49151"},
    {{"perplexity", model, "--file", "x", "--window", "1"},
     "--window: expected a whole number from 2 to 268435456, got '1'"},
    {{"perplexity", model, "--file", "x", "--window", "8193"},
     "--window: expected 2 to 8192, the model's context, got 8193"},
    {{"perplexity", model, "--file", "x", "--stride", "0"},
     "--stride: expected a whole number from 1 to 268435456, got '0'"},
    {{"perplexity", model, "--file", "x", "--window", "64", "--stride", "65"},
     "--stride: expected 1 to 64, the tokens that a window has room for, got 65"},
    // How a text becomes tokens.
    {{"trace", tiny, "--ids", "1", "--special"}, "--special: expected --prompt, got --ids"},
    {{"trace", tiny, "--ids", "1", "--no-bos"}, "--no-bos: expected --prompt, got --ids"},
    {{"generate", model, "--prompt", "a", "--chat", "--no-bos"},
     "--no-bos: expected no --chat with it, got one: the template writes the start token"},
    {{"trace", model, "--prompt", "", "--no-bos"},
     "--prompt: expected at least 1 token, got 0 ('')"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(each_bad_input_says_what_is_wrong_in_one_line) {
    for (const bad_case& one : cases) {
        std::string shown;
        for (const std::string& argument : one.arguments) { shown += argument.substr(0, 80) + ' '; }
        BOOST_TEST_CONTEXT(shown) {
            const auto result = xlens::test::run_program(one.arguments);
            BOOST_TEST(result.exit_code == 2);
            BOOST_TEST(result.out == "");
            BOOST_TEST(result.err == "xlens: " + one.message + "\n");
        }
    }
}

BOOST_AUTO_TEST_CASE(a_ban_in_a_recipe_needs_a_text_that_is_written_and_a_tokenizer) {
    const xlens::test::temporary_directory folder;
    const std::string path =
        folder.write("r.json", R"({"interventions": [{"do": "ban", "words": ["a"]}]})").string();
    const auto refusal = [&](const std::string& subcommand) {
        return xlens::test::run_program({subcommand, tiny, "--ids", "1", "--recipe", path}).err;
    };
    const std::string at = "xlens: " + path + ": interventions[0]: ";
    BOOST_TEST(refusal("generate") == at + "the model has no tokenizer; give token ids\n");
    BOOST_TEST(refusal("trace") ==
               at + "a ban acts on a text that is written (generate), and here none is\n");
}

BOOST_AUTO_TEST_CASE(each_bad_recipe_says_what_is_wrong_and_where) {
    const xlens::test::temporary_directory folder;
    const std::vector<std::pair<std::string, std::string>> recipes{
        {"{", ": byte 1: not valid JSON near '{'"},
        {"[]", ": expected an object, got array"},
        {R"({"steps": []})", ": unknown key 'steps', expected one of interventions"},
        {R"({"interventions": [{"do": "mute", "neurons": ["0:0"]}]})",
         ": interventions[0].do: expected one of set, scale, add, zero, clamp, steer, patch, ban, "
         "got 'mute'"},
        {R"({"interventions": [{"do": "zero", "neurons": ["0:0"], "until": 3}]})",
         ": interventions[0]: unknown key 'until', expected one of do, neurons, on, when, "
         "positions"},
        {R"({"interventions": [{"do": "set", "neurons": ["0:0"], "value": true}]})",
         ": interventions[0].value: expected a number that a float holds, got true"},
        {R"({"interventions": [{"do": "zero", "neurons": ["0:0"]},
                               {"do": "zero", "neurons": ["2:5"]}]})",
         ": interventions[1].neurons: neuron 2:5: expected layers 0 to 1 and neurons 0 to 127"},
    };
    for (const auto& [text, message] : recipes) {
        const std::string path = folder.write("recipe.json", text).string();
        for (const std::string subcommand : {"generate", "trace"}) {
            const auto result =
                xlens::test::run_program({subcommand, tiny, "--ids", "1", "--recipe", path});
            BOOST_TEST(result.exit_code == 2);
            BOOST_TEST(result.out == "");
            BOOST_TEST(result.err == "xlens: " + path + message + "\n");
        }
    }
}

BOOST_AUTO_TEST_CASE(a_recipe_for_generated_text_does_not_fit_a_text_without_a_prompt) {
    const xlens::test::temporary_directory folder;
    const std::string recipe = folder
                                   .write("r.json", R"({"interventions": [
        {"do": "zero", "neurons": ["0:0"], "when": "generating"}]})")
                                   .string();
    const std::string text = folder.write("t.txt", "Once upon a time").string();
    const auto result =
        xlens::test::run_program({"perplexity", model, "--file", text, "--recipe", recipe});
    BOOST_TEST(result.exit_code == 2);
    BOOST_TEST(result.err == "xlens: " + recipe +
                                 ": interventions[0].when: expected always, for "
                                 "there is no one prompt here, got generating\n");
}

BOOST_AUTO_TEST_CASE(a_step_beyond_the_end_of_a_short_text_acts_nowhere) {
    const xlens::test::temporary_directory folder;
    // Four tokens, of which a perplexity reads three.
    const std::string text = folder.write("t.txt", "Once upon a time").string();
    const auto recipe = [&](int position) {
        return folder
            .write("r.json",
                   R"({"interventions": [{"do": "zero", "neurons": ["0:0"], "positions": [)" +
                       std::to_string(position) + "]}]}")
            .string();
    };
    const auto run = [&](const std::vector<std::string>& command, int position) {
        return xlens::test::run_program(
            with(command, {"--file", text, "--recipe", recipe(position)}));
    };
    const std::string captured = (folder.path() / "captured").string();
    const std::vector<std::pair<std::vector<std::string>, int>> commands = {
        {{"perplexity", model}, 3},
        {{"compare", model}, 3},
        {{"capture", model, "--sites", "after", "--layers", "0", "-o", captured}, 4},
        {{"patch", model, "--prompt", "Once upon a time there", "--ablate", "mean", "--layers", "0",
          "--sites", "ffn_out", "--metric", "kl-prompt"},
         4}};
    for (const auto& [command, first] : commands) {
        BOOST_TEST_CONTEXT(command.front()) {
            BOOST_TEST(run(command, first - 1).exit_code == 0);
            const auto beyond = run(command, first);
            BOOST_TEST(beyond.exit_code == 2);
            BOOST_TEST(beyond.err.ends_with(
                "xlens: " + recipe(first) + ": interventions[0].positions: position " +
                std::to_string(first) + ": expected 0 to " + std::to_string(first - 1) + "\n"));
        }
    }
}

// A manifest that says edited is of rows that are: every prompt has the positions.
BOOST_AUTO_TEST_CASE(a_capture_of_prompts_is_edited_in_all_of_them_or_in_none) {
    const xlens::test::temporary_directory folder;
    const std::string prompts =
        folder.write("p.jsonl", "{\"ids\": [1, 2, 3, 4, 5, 6]}\n{\"ids\": [1, 2, 3]}\n").string();
    const std::string out = (folder.path() / "captured").string();
    const auto run = [&](const std::string& step, const std::string& from) {
        const std::string recipe =
            folder
                .write("r.json",
                       R"({"interventions": [{"do": "zero", "neurons": ["1:3"], )" + step + "}]}")
                .string();
        return xlens::test::run_program(
            {"capture", model, "--prompts", from, "--recipe", recipe, "--layers", "1", "-o", out});
    };
    const auto beyond = run(R"("positions": [4])", prompts);
    BOOST_TEST(beyond.exit_code == 2);
    BOOST_TEST(beyond.err.ends_with("interventions[0].positions: position 4: expected 0 to 2\n"));
    const auto unequal = run(R"("when": "generating")", prompts);
    BOOST_TEST(unequal.exit_code == 2);
    BOOST_TEST(
        unequal.err.ends_with("expected always, for there is no one prompt here, got "
                              "generating\n"));
    BOOST_TEST(!std::filesystem::exists(out));
    const std::string equal =
        folder.write("e.jsonl", "{\"ids\": [1, 2, 3]}\n{\"ids\": [4, 5, 6]}\n").string();
    BOOST_TEST(run(R"("when": "generating")", equal).exit_code == 0);
}

BOOST_AUTO_TEST_CASE(flags_of_a_text_are_refused_where_a_file_has_ids_alone) {
    const xlens::test::temporary_directory folder;
    const std::string ids =
        folder.write("ids.jsonl", "{\"ids\": [1, 2]}\n{\"ids\": [3]}\n").string();
    const std::string both =
        folder.write("both.jsonl", "{\"ids\": [1, 2]}\n{\"prompt\": \"a\"}\n").string();
    for (const std::vector<std::string>& flag : std::vector<std::vector<std::string>>{
             {"--chat"}, {"--special"}, {"--no-bos"}, {"--date", "2024-07-04"}}) {
        std::vector<std::string> command{"trace", model, "--json", "--prompts", ids};
        command.insert(command.end(), flag.begin(), flag.end());
        const auto refused = xlens::test::run_program(command);
        BOOST_TEST(refused.exit_code == 2);
        BOOST_TEST(refused.err ==
                   "xlens: " + flag.front() + ": expected a text in " + ids + ", got ids alone\n");
        command[4] = both;
        BOOST_TEST(xlens::test::run_program(command).exit_code == 0);
    }
}

BOOST_AUTO_TEST_CASE(what_a_chat_template_cannot_read_names_its_file) {
    const xlens::test::temporary_directory folder;
    const std::string five =
        folder.write("five.json", R"([{"role": "user", "content": 5}])").string();
    const auto refused =
        xlens::test::run_program({"tokenize", model, "--chat", "--messages", five});
    BOOST_TEST(refused.exit_code == 2);
    BOOST_TEST(refused.err.starts_with("xlens: " + five + ": chat template: "));
}

BOOST_AUTO_TEST_CASE(a_missing_default_model_says_how_to_get_it) {
    const xlens::test::temporary_directory folder;
    ::setenv("XLENS_CACHE", folder.path().c_str(), 1);
    const auto result = xlens::test::run_program({"info", "default"});
    ::unsetenv("XLENS_CACHE");
    BOOST_TEST(result.exit_code == 2);
    BOOST_TEST(result.err == "xlens: default: " + folder.path().string() +
                                 "/SmolLM2-135M-Instruct.Q4_1.gguf is not there; ./demo or "
                                 "scripts/fetch_model fetches it\n");
}

BOOST_AUTO_TEST_CASE(a_text_file_with_one_token_cannot_be_measured) {
    const xlens::test::temporary_directory folder;
    const std::string path = folder.write("one.txt", "a").string();
    const auto result = xlens::test::run_program({"perplexity", model, "--file", path});
    BOOST_TEST(result.exit_code == 2);
    BOOST_TEST(result.err == "xlens: " + path + ": 1 tokens, expected at least 2\n");
}

BOOST_AUTO_TEST_CASE(a_prompt_of_any_bytes_is_read) {
    for (const std::string prompt : {"\xff\xfe\x80", "\xed\xa0\x80", "\xc0\xaf", "a\xe2\x82"}) {
        const auto result =
            xlens::test::run_program({"tokenize", model, "--json", "--text", prompt});
        BOOST_TEST(result.exit_code == 0);
        BOOST_TEST(xlens::test::is_json_document(result.out));
    }
}

BOOST_AUTO_TEST_CASE(output_that_cannot_be_written_is_no_success) {
    if (::access("/dev/full", W_OK) != 0) {
        BOOST_TEST_MESSAGE("no /dev/full here");
        return;
    }
    const std::string command =
        std::string(std::getenv("XLENS_PROGRAM")) + " info '" + tiny + "' >/dev/full 2>/dev/null";
    const int status = std::system(command.c_str());
    BOOST_TEST(WIFEXITED(status));
    BOOST_TEST(WEXITSTATUS(status) == 1);
}

BOOST_AUTO_TEST_CASE(a_page_that_fails_leaves_what_was_there) {
    const xlens::test::temporary_directory folder;
    const std::string path = folder.write("page.html", "old").string();
    const auto result =
        xlens::test::run_program({"trace", tiny, "--ids", "1,99999", "--html", path});
    BOOST_TEST(result.exit_code == 2);
    BOOST_TEST(xlens::test::detail::contents(path) == "old");
    BOOST_TEST(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}
