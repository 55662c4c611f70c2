// SPDX-License-Identifier: Apache-2.0
// CLI11 at work: our table of options becomes its options, its exceptions become our sentences.
#include "app/command_line.h"

#include "app/run_command.h"
#include "app/version.h"
#include "machine/device_table.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <map>

namespace vitrine::app {

namespace {

/// What CLI11 found: for each option its values, in order.
using Found = std::map<std::string_view, std::vector<std::string>>;

void add(CLI::App& to, const OptionRow& row, Found& found) {
    const std::string name(row.name), help(row.help);
    if (row.kind == OptionKind::flag) {
        to.add_flag_function(
              name, [&found, &row](std::int64_t n) { found[row.name].assign(static_cast<std::size_t>(n), ""); }, help)
            ->disable_flag_override();
        return;
    }
    to.add_option(
          name,
          [&found, &row](const CLI::results_t& values) {
              found[row.name] = values;
              return true;
          },
          help)
        ->type_name(std::string(row.value))
        ->type_size(1)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

Expected<Command> make_run(const Found& found) {
    RunOptions run;
    for (const OptionRow& row : run_options()) {
        const auto at = found.find(row.name);
        if (at == found.end())
            continue;
        run.given.emplace_back(row.name);
        if (row.kind != OptionKind::list && at->second.size() > 1)
            return Error(std::string(row.name) + " is given " + (at->second.size() == 2 ? "twice" : "several times") +
                         "; give it once");
    }
    // Cheap mistakes are told before files are read.
    for (const bool files : {false, true})
        for (const OptionRow& row : run_options()) {
            const bool reads = row.name == "--kernel" || row.name == "--initrd" || row.name == "--module";
            const auto at = found.find(row.name);
            if (reads != files || at == found.end())
                continue;
            for (const std::string& value : at->second)
                TRY(row.apply(run, value));
        }
    if (!found.contains("--iommu") && machine::for_assignment(run.config.devices))
        run.config.iommu = "on";
    TRY(check(run));
    return Command(std::move(run));
}

std::string one_line(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    while (!text.empty() && text.back() == ' ')
        text.pop_back();
    return text;
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words)
        text += (text.empty() ? "" : " ") + word;
    return text;
}

Error unexpected(const CLI::App& app, const CLI::App* run) {
    const std::vector<std::string> rest = (run ? run : &app)->remaining(true);
    const std::string first = rest.empty() ? "" : rest.front();
    if (first.starts_with("-"))
        return Error("there is no option " + first.substr(0, first.find('=')) + "; see vitrine " + (run ? "run " : "") + "--help");
    if (run)
        return Error("'" + first + "' is not expected; every option of vitrine run has a name, such as --kernel FILE");
    return Error("there is no command '" + first + "'; there are run, devices, cpus, explain and docs");
}

} // namespace

Expected<Command> parse_command_line(int argc, const char* const* argv) {
    CLI::App app("Vitrine, an x86-64 machine emulator for hypervisors", "vitrine");
    app.set_help_flag("--help,-h", "print this");
    app.set_version_flag("--version", std::string("vitrine ") + version);
    app.require_subcommand(0, 1);
    app.failure_message([](const CLI::App*, const CLI::Error&) { return std::string(); });

    Found found;
    CLI::App* run = app.add_subcommand("run", "boot a kernel");
    run->set_help_flag("--help,-h", "print this");
    for (const OptionRow& row : run_options())
        add(*run, row, found);
    CLI::App* devices = app.add_subcommand("devices", "list what --device takes");
    CLI::App* cpus = app.add_subcommand("cpus", "list what --cpu takes");
    CLI::App* explain = app.add_subcommand("explain", "say what a device, a model, an exception, an MSR, a topic or an exit status is");
    std::vector<std::string> what;
    explain->add_option("WHAT", what, "its name or number");
    explain->allow_extras(); // names of options
    CLI::App* docs = app.add_subcommand("docs", "print a reference page, or list them");
    std::string page;
    docs->add_option("PAGE", page, "its name");

    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        return Command(PrintText{(run->parsed() ? run->help("vitrine") : app.help())});
    } catch (const CLI::CallForVersion&) {
        return Command(PrintText{std::string("vitrine ") + version + "\n"});
    } catch (const CLI::ExtrasError&) {
        return unexpected(app, run->parsed() ? run : nullptr);
    } catch (const CLI::ArgumentMismatch& e) {
        const std::string text = e.what();
        const std::string name = text.substr(0, text.find_first_of(": "));
        for (const OptionRow& row : run_options())
            if (row.name == name)
                return Error(name + ": its value is missing; give " + name + " " + std::string(row.value));
            else if (row.name == "--" + name)
                return Error("--" + name + " takes no value; give it alone or leave it away");
        return Error(one_line(text));
    } catch (const CLI::ParseError& e) {
        return Error(one_line(e.what()));
    }
    if (run->parsed())
        return make_run(found);
    if (devices->parsed())
        return Command(ListDevices{});
    if (cpus->parsed())
        return Command(ListCpus{});
    if (explain->parsed()) {
        const std::vector<std::string> more = explain->remaining();
        what.insert(what.end(), more.begin(), more.end());
        if (what.empty())
            return Error("explain what? Give the name of a device, model, exception or topic, or an exit status");
        return Command(Explain{joined(what)});
    }
    if (docs->parsed())
        return Command(ShowDocs{page});
    return Error("what to do? Give a command: run, devices, cpus, explain or docs; see vitrine --help");
}

} // namespace vitrine::app
