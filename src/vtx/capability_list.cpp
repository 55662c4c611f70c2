// SPDX-License-Identifier: Apache-2.0
// Names of capabilities are the manual's, in lower case with dashes, without "enable", "use" or "activate" before them.
#include "vtx/capability_list.h"

#include "vtx/spec/presets.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cctype>
#include <vector>

namespace vitrine::vtx {

namespace {

template <class Layout> auto fields_of(const Layout& layout) {
    return std::bit_cast<std::array<Field, sizeof(Layout) / sizeof(Field)>>(layout);
}

std::string name_of(const Field& f) {
    std::string_view text = f.name();
    for (const std::string_view verb : {"enable ", "use ", "activate "})
        if (text.starts_with(verb))
            text.remove_prefix(verb.size());
    std::string name;
    for (const char c : text)
        name += c == ' ' || c == '/' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return name;
}

/// One thing that can be taken away: a bit of one of the words.
struct Item {
    std::string name;
    const char* meaning;
    void (*remove)(Capabilities&, u64 mask);
    u64 mask;
};

std::vector<Item> items() {
    std::vector<Item> all;
    const Capabilities c = implemented();
    const auto add = [&](const auto& layout, u64 word, void (*remove)(Capabilities&, u64)) {
        for (const Field& f : fields_of(layout))
            if (f.width() == 1 && f(word))
                all.push_back({name_of(f), f.meaning(), remove, f.mask()});
    };
    add(pin, c.pin, [](Capabilities& k, u64 mask) { k.pin &= ~static_cast<u32>(mask); });
    add(primary, c.primary, [](Capabilities& k, u64 mask) { k.primary &= ~static_cast<u32>(mask); });
    add(secondary, c.secondary, [](Capabilities& k, u64 mask) { k.secondary &= ~static_cast<u32>(mask); });
    add(tertiary, c.tertiary, [](Capabilities& k, u64 mask) { k.tertiary &= ~mask; });
    add(exiting, c.exiting, [](Capabilities& k, u64 mask) { k.exiting &= ~static_cast<u32>(mask); });
    add(entering, c.entering, [](Capabilities& k, u64 mask) { k.entering &= ~static_cast<u32>(mask); });
    add(misc, c.misc, [](Capabilities& k, u64 mask) { k.misc &= ~mask; });
    add(ept_vpid, c.ept_vpid, [](Capabilities& k, u64 mask) { k.ept_vpid &= ~mask; });
    return all;
}

/// Takes away what came later. False: no such generation.
bool cut_to(std::string_view name, Capabilities& c, const std::vector<Item>& all) {
    for (const GenerationRow& g : generation_rows) {
        if (name != g.name)
            continue;
        for (const SinceRow& row : since_rows)
            for (const Item& i : all)
                if (row.since > g.generation && i.name == row.capability)
                    i.remove(c, i.mask);
        return true;
    }
    return false;
}

} // namespace

Expected<Capabilities> capabilities_of(std::string_view list) {
    Capabilities c = implemented();
    const std::vector<Item> all = items();
    for (bool first = true; !list.empty(); first = false) {
        const std::size_t comma = list.find(',');
        const std::string_view item = list.substr(0, comma);
        list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
        bool known = first && (item == "on" || cut_to(item, c, all));
        for (const Item& i : all)
            if (item.size() > 1 && item[0] == '-' && i.name == item.substr(1)) {
                i.remove(c, i.mask); // "load IA32_PAT" is an exit and an entry control: both go
                known = true;
            }
        if (!known)
            return Error(fmt::format("--vmx: '{}' is not -NAME of a VMX capability{} (vitrine explain vmx lists them)", item,
                                     first ? ", nor `on`, nor a processor generation" : ""));
    }
    settle(c);
    return c;
}

std::string capability_names() {
    std::string text;
    for (const Item& i : items())
        text += fmt::format("  {:<42} {}\n", i.name, i.meaning);
    return text;
}

std::string generation_names() {
    std::string text;
    for (const GenerationRow& g : generation_rows)
        text += fmt::format("  {:<16} {}\n", g.name, g.meaning);
    return text;
}

} // namespace vitrine::vtx
