// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer target: any bytes as a chat template, which renders a conversation. See fuzz.hpp for
// how the seeds are written.
#include <fuzz/fuzz.hpp>

#include <xlens/text/templates/chat_template.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    xlens::test::write_seeds({
        {"turns",
         "{% for m in messages %}{{ '<' + m['role'] | upper + '>' }}{{ m.content | trim }}"
         "{% if not loop.last %},{% endif %}{% endfor %}"},
        {"macro",
         "{%- macro f(x, y=1) -%}{{ x[1:y] ~ '%05.2f' % y }}{%- endmacro -%}"
         "{%- set ns = namespace(n=0) -%}{%- set ns.n = ns.n + 2 ** 3 // 3 -%}"
         "{{ f('abc', ns.n) }}{{ [1, 2] | map('string') | join('-') }}"},
        {"tools",
         "{{ tools | tojson(indent=2) if tools is defined and tools else none }}"
         "{{ {'a': [1, 2.5, true]} | dictsort }}{{ 'a,b'.split(',') | length }}"
         "{{ raise_exception('no') if messages | selectattr('role', 'eq', 'x') | list }}"},
        {"filters",
         "{{ messages[0].content.replace('a', 'b').title().center(20, '*') }}"
         "{% call(x) g() %}{{ x }}{% endcall %}{{ range(3) | sum }}{{ '{}'.format(1) }}"},
    });
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::vector<xlens::chat_message> messages{{"user", "a cat"}, {"assistant", "\u00e9 b"}};
    xlens::chat_options options;
    options.date = "2024-02-29";
    options.limits = {20'000, std::size_t{1} << 20U};
    xlens::test::accept_error([&] {
        const xlens::chat_template made(
            std::string_view(reinterpret_cast<const char*>(data), size));
        if (made.render(messages, options, {{"bos_token", "<s>"}}).size() > options.limits.bytes) {
            std::abort();
        }
    });
    return 0;
}
