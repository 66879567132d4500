// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(io)
#include <xlens/core/error.hpp>
#include <xlens/storage/byte_reader.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#endif

namespace xlens {

/// A value of a pickle, in the memory of a torch_pickle.
struct pickle_value {
    enum class kind : unsigned char {
        none,
        boolean,
        integer,
        real,
        text,
        tuple,
        list,
        dict,
        global,   ///< a class or function by name, never called: `text` is "module name"
        storage,  ///< where numbers lie: `text` the dtype's class, `items` (key, elements)
        tensor,   ///< `items` (storage, offset, sizes, strides)
    };
    using member = std::pair<const pickle_value*, const pickle_value*>;

    kind is = kind::none;
    std::int64_t integer = 0;  ///< of booleans 0 or 1
    double real = 0.0;
    std::string text;
    std::vector<const pickle_value*> items;
    std::vector<member> members;  ///< of a dict, in the order of the file

    /// "a dict", for messages.
    [[nodiscard]] std::string_view kind_name() const;
    /// The value of a dict under a key that is a string; null if there is none.
    [[nodiscard]] const pickle_value* find(std::string_view key) const;
};

/// What `data.pkl` of a file of torch.save says, read by a machine that runs nothing: it knows the
/// opcodes that such files have, and of Python OrderedDict, torch._utils._rebuild_tensor_v2 and the
/// storages of f32, f16, bf16 and f64. Any other opcode, class or function is refused by name.
/// At most 2^20 values. Opcodes: Lib/pickletools.py of CPython 3.11.
class torch_pickle {
public:
    /// `file` names it in errors.
    torch_pickle(std::string file, std::span<const std::byte> bytes);
    torch_pickle(const torch_pickle&) = delete;
    torch_pickle& operator=(const torch_pickle&) = delete;

    [[nodiscard]] const pickle_value& root() const { return *m_root; }

private:
    std::deque<pickle_value> m_values;  // never moved; values refer to each other
    const pickle_value* m_root = nullptr;

    friend class pickle_machine;
};

#if XLENS_DEFINES(io)

XLENS_API std::string_view pickle_value::kind_name() const {
    switch (is) {
        case kind::none: return "None";
        case kind::boolean: return "a truth value";
        case kind::integer: return "an integer";
        case kind::real: return "a float";
        case kind::text: return "a string";
        case kind::tuple: return "a tuple";
        case kind::list: return "a list";
        case kind::dict: return "a dict";
        case kind::global: return "a class or function";
        case kind::storage: return "a storage";
        case kind::tensor: return "a tensor";
    }
    return "something else";
}

XLENS_API const pickle_value* pickle_value::find(std::string_view key) const {
    // The last of equal keys counts, as in Python.
    for (auto m = members.rbegin(); m != members.rend(); ++m) {
        if (m->first->is == kind::text && m->first->text == key) { return m->second; }
    }
    return nullptr;
}

/// Runs the opcodes of a pickle (torch_pickle).
class pickle_machine {
public:
    pickle_machine(torch_pickle& to, const std::string& file, std::span<const std::byte> bytes)
        : m_to(&to), m_in(file, bytes) {}

    void run() {
        while (step()) {}
        if (m_stack.size() != 1 || !m_marks.empty()) { refuse("ends with another stack"); }
        m_to->m_root = m_stack.back();
    }

private:
    using value = pickle_value;
    using kind = value::kind;

    [[noreturn]] void refuse(std::string_view what) const {
        fail("{}: pickle: byte {}: {}", m_in.file(), m_in.position(), what);
    }
    value& make(kind is) {
        constexpr std::size_t most = std::size_t{1} << 20U;
        if (m_to->m_values.size() == most) { refuse("more than 1048576 values"); }
        value& out = m_to->m_values.emplace_back();
        out.is = is;
        return out;
    }
    value& push(kind is) {
        value& out = make(is);
        m_stack.push_back(&out);
        return out;
    }
    void push_integer(std::int64_t number, kind is = kind::integer) { push(is).integer = number; }

    [[nodiscard]] std::size_t floor() const { return m_marks.empty() ? 0 : m_marks.back(); }
    value* pop() {
        if (m_stack.size() <= floor()) { refuse("takes a value of an empty stack"); }
        value* out = m_stack.back();
        m_stack.pop_back();
        return out;
    }
    value& top(kind is) {
        if (m_stack.size() <= floor()) { refuse("looks at an empty stack"); }
        if (m_stack.back()->is != is) {
            refuse(fmt::format("adds to {}", m_stack.back()->kind_name()));
        }
        return *m_stack.back();
    }
    std::vector<const value*> pop_to_mark() {
        if (m_marks.empty()) { refuse("has no mark"); }
        const auto begin = m_stack.begin() + static_cast<std::ptrdiff_t>(m_marks.back());
        std::vector<const value*> out(begin, m_stack.end());
        m_stack.erase(begin, m_stack.end());
        m_marks.pop_back();
        return out;
    }
    std::string line() {
        std::string out;
        for (;;) {
            const char c = m_in.number<char>("name");
            if (c == '\n') { return out; }
            if (out.size() == 256) { refuse("a name of more than 256 bytes"); }
            out += c;
        }
    }
    std::string text(std::uint64_t bytes) {
        const auto taken = m_in.take(bytes, "string");
        return {reinterpret_cast<const char*>(taken.data()), taken.size()};
    }

    void memoize(std::size_t key) {
        if (m_stack.size() <= floor()) { refuse("keeps a value of an empty stack"); }
        if (key > m_memo.size() + 1024) { refuse("keeps a value under a number out of order"); }
        if (key >= m_memo.size()) { m_memo.resize(key + 1, nullptr); }
        m_memo[key] = m_stack.back();
    }
    void recall(std::size_t key) {
        if (key >= m_memo.size() || m_memo[key] == nullptr) {
            refuse("recalls a value that it did not keep");
        }
        m_stack.push_back(m_memo[key]);
        // Each costs a byte or two: as many as there may be values.
        if (m_stack.size() > std::size_t{1} << 20U) { refuse("more than 1048576 values"); }
    }

    void tuple(std::size_t count) {
        std::vector<const value*> items(count);
        for (std::size_t i = count; i-- > 0;) { items[i] = pop(); }
        push(kind::tuple).items = std::move(items);
    }
    void set_items(std::vector<const value*> items) {
        if (items.size() % 2 != 0) { refuse("a key without a value"); }
        value& to = top(kind::dict);
        for (std::size_t i = 0; i < items.size(); i += 2) {
            if (items[i]->is != kind::text && items[i]->is != kind::integer) {
                refuse(fmt::format("a key that is {}", items[i]->kind_name()));
            }
            to.members.emplace_back(items[i], items[i + 1]);
        }
    }
    void append(const std::vector<const value*>& items) {
        value& to = top(kind::list);
        to.items.insert(to.items.end(), items.begin(), items.end());
    }

    void global() {
        const std::string module = line();
        const std::string name = line();
        static constexpr std::array<std::string_view, 6> known{
            "collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch FloatStorage",
            "torch HalfStorage",       "torch BFloat16Storage",           "torch DoubleStorage"};
        const std::string whole = module + " " + name;
        if (std::ranges::find(known, whole) == known.end()) {
            refuse(fmt::format(
                "asks for {}.{}; known are OrderedDict, _rebuild_tensor_v2 and storages of "
                "floats",
                printable(module), printable(name)));
        }
        push(kind::global).text = whole;
    }
    /// ('storage', class, key, device, elements)
    void persistent() {
        const value* id = pop();
        const auto& items = id->items;
        const bool good = id->is == kind::tuple && items.size() == 5 &&
                          items[0]->is == kind::text && items[0]->text == "storage" &&
                          items[1]->is == kind::global && items[1]->text.ends_with("Storage") &&
                          items[2]->is == kind::text && items[3]->is == kind::text &&
                          items[4]->is == kind::integer && items[4]->integer >= 0;
        if (!good) { refuse("expected ('storage', class, key, device, elements)"); }
        value& out = push(kind::storage);
        out.text = items[1]->text.substr(std::string_view("torch ").size());
        out.items = {items[2], items[4]};
    }
    void reduce() {
        const value* arguments = pop();
        const value* function = pop();
        if (function->is != kind::global || arguments->is != kind::tuple) {
            refuse("calls what is no function");
        }
        if (function->text == "collections OrderedDict") {
            if (!arguments->items.empty()) { refuse("OrderedDict: expected no arguments"); }
            push(kind::dict);
        } else if (function->text == "torch._utils _rebuild_tensor_v2") {
            rebuild(arguments->items);
        } else {
            refuse("calls a storage");
        }
    }
    /// _rebuild_tensor_v2(storage, offset, sizes, strides, requires_grad, hooks[, metadata])
    void rebuild(const std::vector<const value*>& a) {
        const auto integers = [](const value* v) {
            return v->is == kind::tuple && std::ranges::all_of(v->items, [](const value* i) {
                       return i->is == kind::integer && i->integer >= 0;
                   });
        };
        const bool good = (a.size() == 6 || a.size() == 7) && a[0]->is == kind::storage &&
                          a[1]->is == kind::integer && a[1]->integer >= 0 && integers(a[2]) &&
                          integers(a[3]) && a[2]->items.size() == a[3]->items.size();
        if (!good) {
            refuse("_rebuild_tensor_v2: expected a storage, an offset, sizes and strides");
        }
        push(kind::tensor).items = {a[0], a[1], a[2], a[3]};
    }
    /// State that is given to an object: attributes of an OrderedDict (`_metadata` of modules),
    /// which say nothing of numbers.
    void build() {
        pop();
        top(kind::dict);
    }

    bool step() {
        const auto opcode = m_in.number<unsigned char>("opcode");
        switch (opcode) {
            case 0x80: return protocol();
            case '.': return false;
            case '(':
                if (m_marks.size() == 256) { refuse("more than 256 marks"); }
                m_marks.push_back(m_stack.size());
                return true;
            case 'N': push(kind::none); return true;
            case 0x88: push_integer(1, kind::boolean); return true;
            case 0x89: push_integer(0, kind::boolean); return true;
            case 'K': push_integer(m_in.number<std::uint8_t>("integer")); return true;
            case 'M': push_integer(m_in.number<std::uint16_t>("integer")); return true;
            case 'J': push_integer(m_in.number<std::int32_t>("integer")); return true;
            case 0x8a: long_integer(); return true;
            case 'G': big_endian_float(); return true;
            case 'X': {
                const auto bytes = m_in.number<std::uint32_t>("string");
                std::string read = text(bytes);
                push(kind::text).text = std::move(read);
                return true;
            }
            case ')': push(kind::tuple); return true;
            case 't': {
                std::vector<const value*> items = pop_to_mark();
                push(kind::tuple).items = std::move(items);
                return true;
            }
            case 0x85: tuple(1); return true;
            case 0x86: tuple(2); return true;
            case 0x87: tuple(3); return true;
            case ']': push(kind::list); return true;
            case 'a': append({pop()}); return true;
            case 'e': append(pop_to_mark()); return true;
            case '}': push(kind::dict); return true;
            case 's': {
                const value* content = pop();
                const value* key = pop();
                set_items({key, content});
                return true;
            }
            case 'u': set_items(pop_to_mark()); return true;
            case 'q': memoize(m_in.number<std::uint8_t>("memo")); return true;
            case 'r': memoize(m_in.number<std::uint32_t>("memo")); return true;
            case 'h': recall(m_in.number<std::uint8_t>("memo")); return true;
            case 'j': recall(m_in.number<std::uint32_t>("memo")); return true;
            case 'c': global(); return true;
            case 'Q': persistent(); return true;
            case 'R': reduce(); return true;
            case 'b': build(); return true;
            default: refuse(fmt::format("opcode 0x{:02x} is not one of torch.save", opcode));
        }
    }
    bool protocol() {
        const auto number = m_in.number<std::uint8_t>("protocol");
        if (number != 2) { refuse(fmt::format("expected protocol 2, got {}", number)); }
        return true;
    }
    /// Little-endian, two's complement, at most 8 bytes.
    void long_integer() {
        const auto size = m_in.number<std::uint8_t>("integer");
        if (size > 8) { refuse(fmt::format("an integer of {} bytes, expected at most 8", size)); }
        std::uint64_t out = 0;
        const auto bytes = m_in.take(size, "integer");
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            out |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
        }
        if (size > 0 && size < 8 && (out >> (8U * size - 1U) & 1U) != 0) {
            out |= ~std::uint64_t{0} << (8U * size);
        }
        push_integer(static_cast<std::int64_t>(out));
    }
    void big_endian_float() {
        std::uint64_t bits = 0;
        for (const std::byte b : m_in.take(8, "float")) {
            bits = bits << 8U | std::to_integer<std::uint64_t>(b);
        }
        push(kind::real).real = std::bit_cast<double>(bits);
    }

    torch_pickle* m_to;
    byte_reader m_in;
    std::vector<value*> m_stack;
    std::vector<std::size_t> m_marks;  // sizes of the stack
    std::vector<value*> m_memo;
};

XLENS_API torch_pickle::torch_pickle(std::string file, std::span<const std::byte> bytes) {
    pickle_machine(*this, file, bytes).run();
}

#endif

}  // namespace xlens
